"""Which pools a launch try asks for, as the keyword arguments of CreateFleet.

Sources: EC2 API Reference, `CreateFleet`, `FleetLaunchTemplateOverridesRequest`; EC2 User Guide, "Allocation
strategies for EC2 Fleet or Spot Fleet to determine how instances are launched".
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from runctl.model.attempt import Attempt
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.machine import MachineType, Subnet
from runctl.model.names import Tag
from runctl.model.run import PurchaseOption, Run
from runctl.model.status import Reason

_TAG_VALUE_CHARACTERS: Final = 256  # EC2 User Guide, "Tag your Amazon EC2 resources": tag restrictions


@dataclass(frozen=True)
class Pool:
    """An instance type in a subnet, and so in an Availability Zone."""

    instance_type: str
    subnet: Subnet


def client_token(run_id: RunId, number: AttemptNumber, launch_try: int) -> str:
    """Make the token under which EC2 remembers a launch try's answer (at most 64 ASCII characters)."""
    return hashlib.sha256(f"{run_id}/{number}/{launch_try}".encode()).hexdigest()


def choose_pools(
    machine_types: Sequence[MachineType], subnets: Iterable[Subnet], earlier: Sequence[Attempt], launch_try: int
) -> tuple[Pool, ...]:
    """List the pools in the order of preference: types as the spec orders them, each in every zone.

    Of several subnets of a zone one is asked for, the next one at each try: CreateFleet refuses the same type and zone
    twice, and a subnet may be full. The pool that EC2 just took a machine back from is left out if there is another.
    """
    by_zone: dict[str, list[Subnet]] = {}
    for subnet in subnets:
        by_zone.setdefault(subnet.availability_zone, []).append(subnet)
    chosen = [zone[(launch_try - 1) % len(zone)] for zone in by_zone.values()]
    pools = tuple(Pool(machine_type.name, subnet) for machine_type in machine_types for subnet in chosen)
    taken = _just_taken(earlier)
    return tuple(pool for pool in pools if (pool.instance_type, pool.subnet.availability_zone) != taken) or pools


def _just_taken(earlier: Sequence[Attempt]) -> tuple[str | None, str | None] | None:
    if not earlier or not (earlier[-1].is_draining or earlier[-1].reason is Reason.SPOT_INTERRUPTION):
        return None
    return earlier[-1].instance_type, earlier[-1].availability_zone


def fleet_request(
    run: Run,
    number: AttemptNumber,
    launch_try: int,
    pools: Sequence[Pool],
    images: Mapping[str, str],
    launch_template_id: str,
    root_devices: Mapping[str, str] = MappingProxyType({}),
    stack_name: str = "",
    role_id: str | None = None,
) -> dict[str, Any]:
    """Write a launch try's whole request. `images` names the AMI of each instance type; `root_devices` the root
    device of each AMI, needed only for a run that asks for a disk of its own; `role_id` the role of an instance profile
    that is not the stack's own.

    Spot pools are left to EC2 by price and capacity; on-demand pools are tried in our order. Nothing but the
    instance and the fleet can be tagged here; volumes get their tags from the launch template.
    """
    spot = run.spec.purchase_option is PurchaseOption.SPOT
    overrides = [
        {
            **_override(pool, place, images[pool.instance_type], spot),
            **_disk(run, images[pool.instance_type], root_devices),
            **({"IamInstanceProfile": {"Name": run.spec.instance_profile}} if role_id is not None else {}),
        }
        for place, pool in enumerate(pools)
    ]
    strategy = (
        {"SpotOptions": {"AllocationStrategy": "price-capacity-optimized", "InstanceInterruptionBehavior": "terminate"}}
        if spot
        else {"OnDemandOptions": {"AllocationStrategy": "prioritized"}}
    )
    tags = [{"Key": key, "Value": value} for key, value in _tags(run, number, stack_name, role_id).items()]
    return {
        "Type": "instant",
        "ClientToken": client_token(run.run_id, number, launch_try),
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateId": launch_template_id, "Version": "$Latest"},
                "Overrides": overrides,
            }
        ],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": 1,
            "OnDemandTargetCapacity": 0 if spot else 1,
            "SpotTargetCapacity": 1 if spot else 0,
            "DefaultTargetCapacityType": str(run.spec.purchase_option),
        },
        **strategy,
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": tags},
            {"ResourceType": "fleet", "Tags": tags},
        ],
    }


def _override(pool: Pool, place: int, image_id: str, spot: bool) -> dict[str, Any]:
    override: dict[str, Any] = {
        "InstanceType": pool.instance_type,
        "SubnetId": pool.subnet.subnet_id,
        "ImageId": image_id,
    }
    # Whole numbers from 0, the first choice first (EC2 API Reference, FleetLaunchTemplateOverridesRequest).
    return override if spot else {**override, "Priority": place}


def _disk(run: Run, image_id: str, root_devices: Mapping[str, str]) -> dict[str, Any]:
    """The root volume in place of the launch template's, whole: a mapping of the same device replaces it (EC2 User
    Guide, "Block device mappings for volumes on Amazon EC2 instances"). Only fleets of type instant take one."""
    if run.spec.disk_gib is None:
        return {}
    ebs = {"VolumeType": "gp3", "VolumeSize": run.spec.disk_gib, "Encrypted": True, "DeleteOnTermination": True}
    return {"BlockDeviceMappings": [{"DeviceName": root_devices[image_id], "Ebs": ebs}]}


def _tags(run: Run, number: AttemptNumber, stack_name: str, role_id: str | None) -> dict[str, str]:
    tags = {
        Tag.RUN.value: run.run_id,
        Tag.ATTEMPT.value: str(number),
        Tag.PROJECT.value: run.project,
        Tag.USER.value: run.user,
        **({Tag.STACK.value: stack_name} if stack_name else {}),
        **({Tag.ROLE.value: role_id} if role_id is not None else {}),
        "Name": f"runctl {run.name}",
    }
    return {key: value[:_TAG_VALUE_CHARACTERS] for key, value in tags.items()}
