"""EC2's answers as values of ours."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from runctl.model.ids import InstanceId
from runctl.model.machine import Accelerator, FleetAnswer, LaunchedMachine, MachineState, MachineType, MachineView
from runctl.model.run import PurchaseOption

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        CreateFleetErrorTypeDef,
        CreateFleetInstanceTypeDef,
        CreateFleetResultTypeDef,
        InstanceTypeDef,
        InstanceTypeInfoTypeDef,
    )

_TRANSITION_TIME: Final = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) GMT\)")


def machine_view(instance: "InstanceTypeDef") -> MachineView:
    """Read an instance of DescribeInstances."""
    reason = instance.get("StateReason", {})
    return MachineView(
        instance_id=InstanceId(instance.get("InstanceId", "")),
        state=MachineState(instance.get("State", {}).get("Name", "pending")),
        state_reason=reason.get("Code", ""),
        state_message=reason.get("Message", ""),
        instance_type=instance.get("InstanceType", ""),
        availability_zone=instance.get("Placement", {}).get("AvailabilityZone", ""),
        purchase_option=_purchase_option(instance.get("InstanceLifecycle")),
        launched_at=instance.get("LaunchTime"),
        changed_at=_changed_at(instance.get("StateTransitionReason", "")),
        public_address=instance.get("PublicIpAddress", ""),
        private_address=instance.get("PrivateIpAddress", ""),
        has_instance_profile="IamInstanceProfile" in instance,
        tags={tag.get("Key", ""): tag.get("Value", "") for tag in instance.get("Tags", [])},
    )


def _changed_at(reason: str) -> datetime | None:
    """Read the time that EC2 writes into a transition's reason: `User initiated (2026-01-31 09:30:00 GMT)`."""
    found = _TRANSITION_TIME.search(reason)
    return None if found is None else datetime.fromisoformat(found[1]).replace(tzinfo=UTC)


def machine_type_view(described: "InstanceTypeInfoTypeDef") -> MachineType:
    """Read a type of DescribeInstanceTypes."""
    architectures = described.get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    # Old x86 types are listed with i386 first.
    architecture = "x86_64" if "x86_64" in architectures else next(iter(architectures), "")
    gpus = described.get("GpuInfo", {}).get("Gpus", [])
    return MachineType(
        name=described.get("InstanceType", ""),
        architecture=architecture,
        accelerator=_accelerator(described),
        vcpus=described.get("VCpuInfo", {}).get("DefaultVCpus", 0),
        memory_mib=described.get("MemoryInfo", {}).get("SizeInMiB", 0),
        # A part of a GPU (g6f) is none: nobody who asks for one means it.
        gpus=sum(gpu.get("Count", 0) for gpu in gpus if gpu.get("GpuPartitionSize", 1.0) >= 1.0),
        gpu_name=next((gpu.get("Name", "") for gpu in gpus), ""),
        gpu_memory_mib=next((gpu.get("MemoryInfo", {}).get("SizeInMiB", 0) for gpu in gpus), 0),
    )


def _accelerator(described: "InstanceTypeInfoTypeDef") -> Accelerator:
    makers = {gpu.get("Manufacturer", "").upper() for gpu in described.get("GpuInfo", {}).get("Gpus", [])}
    if "NVIDIA" in makers:
        return Accelerator.NVIDIA
    if "NeuronInfo" in described or "InferenceAcceleratorInfo" in described:
        return Accelerator.NEURON
    return Accelerator.NONE


def fleet_answer(answer: "CreateFleetResultTypeDef") -> FleetAnswer:
    """Read CreateFleet's machines and refusals."""
    return FleetAnswer(
        machines=tuple(machine for group in answer.get("Instances", []) for machine in _launched(group)),
        errors=tuple(_refusal(error) for error in answer.get("Errors", [])),
    )


def _launched(group: "CreateFleetInstanceTypeDef") -> list[LaunchedMachine]:
    overrides = group.get("LaunchTemplateAndOverrides", {}).get("Overrides", {})
    return [
        LaunchedMachine(
            instance_id=InstanceId(instance_id),
            instance_type=group.get("InstanceType") or overrides.get("InstanceType", ""),
            purchase_option=_purchase_option(group.get("Lifecycle")),
            subnet_id=overrides.get("SubnetId", ""),
            availability_zone=overrides.get("AvailabilityZone", ""),
            image_id=overrides.get("ImageId", ""),
        )
        for instance_id in group.get("InstanceIds", [])
    ]


def _refusal(error: "CreateFleetErrorTypeDef") -> dict[str, str]:
    overrides = error.get("LaunchTemplateAndOverrides", {}).get("Overrides", {})
    fields = {
        "code": error.get("ErrorCode", ""),
        "message": error.get("ErrorMessage", ""),
        "instance_type": overrides.get("InstanceType", ""),
        "subnet_id": overrides.get("SubnetId", ""),
        "availability_zone": overrides.get("AvailabilityZone", ""),
        "lifecycle": error.get("Lifecycle", ""),
    }
    return {name: str(value) for name, value in fields.items() if value}


def _purchase_option(lifecycle: str | None) -> PurchaseOption:
    """EC2 leaves an instance's lifecycle out when it is on-demand."""
    return PurchaseOption.SPOT if lifecycle == "spot" else PurchaseOption.ON_DEMAND
