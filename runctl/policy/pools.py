"""Which pools a launch try asks for, as the keyword arguments of CreateFleet.

Sources: EC2 API Reference, `CreateFleet`, `FleetLaunchTemplateOverridesRequest`; EC2 User Guide, "Allocation
strategies for EC2 Fleet or Spot Fleet to determine how instances are launched".
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from runctl.model.attempt import Attempt
from runctl.model.aws_codes import AwsCodeKind
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.machine import MachineType, Subnet
from runctl.model.names import Tag
from runctl.model.run import PurchaseOption, Run
from runctl.policy.facts import taken_back_at
from runctl.policy.refusals import kind_of_refusal

_TAGGED: Final = ("instance", "fleet", "volume", "network-interface")
"""What CreateFleet tags for a fleet of type `instant` (EC2 API Reference, CreateFleet, TagSpecification.N). A request
for a spot machine costs nothing and cannot be tagged there."""

_TAG_VALUE_CHARACTERS: Final = 256  # EC2 User Guide, "Tag your Amazon EC2 resources": tag restrictions


PoolKey = tuple[str | None, str | None]

COOL_AFTER_INTERRUPTION: Final = timedelta(hours=1)
COOL_AFTER_REFUSAL: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Pool:
    """An instance type in a subnet, and so in an Availability Zone."""

    instance_type: str
    subnet: Subnet

    @property
    def key(self) -> PoolKey:
        """Type and zone: what EC2 means by a pool, together with the purchase option."""
        return self.instance_type, self.subnet.availability_zone


def client_token(run_id: RunId, number: AttemptNumber, launch_try: int) -> str:
    """Make the token under which EC2 remembers a launch try's answer (at most 64 ASCII characters)."""
    return hashlib.sha256(f"{run_id}/{number}/{launch_try}".encode()).hexdigest()


def option_now(run: Run) -> PurchaseOption:
    """How the run's next machine is paid for."""
    return run.spec.purchase_option if run.fell_back_at is None else PurchaseOption.ON_DEMAND


def choose_pools(
    machine_types: Sequence[MachineType],
    subnets: Iterable[Subnet],
    attempts: Sequence[Attempt],
    launch_try: int,
    now: datetime,
) -> tuple[Pool, ...]:
    """List the pools in the order of preference: types as the spec orders them, each in every zone.

    Of several subnets of a zone one is asked for, the next one at each try: CreateFleet refuses the same type and zone
    twice, and a subnet may be full. Pools that took a machine back, had no capacity or do not exist are left out for a
    while (`cooling`), unless no other is left: then all are asked again but those that do not exist.
    """
    by_zone: dict[str, list[Subnet]] = {}
    for subnet in subnets:
        by_zone.setdefault(subnet.availability_zone, []).append(subnet)
    chosen = [zone[(launch_try - 1) % len(zone)] for zone in by_zone.values()]
    pools = tuple(Pool(machine_type.name, subnet) for machine_type in machine_types for subnet in chosen)
    missing = _refused(attempts, AwsCodeKind.UNSUPPORTED, lambda _: True)
    cool = cooling(attempts, now)
    exist = tuple(pool for pool in pools if pool.key not in missing) or pools
    return tuple(pool for pool in exist if pool.key not in cool) or exist


def cooling(attempts: Sequence[Attempt], now: datetime) -> frozenset[PoolKey]:
    """The pools that are not asked now: EC2 took a machine of the run back from them within COOL_AFTER_INTERRUPTION, or
    they had no capacity within COOL_AFTER_REFUSAL while another pool had."""
    taken = {
        (attempt.instance_type, attempt.availability_zone)
        for attempt in attempts
        if (at := taken_back_at(attempt)) is not None and now - at < COOL_AFTER_INTERRUPTION
    }
    full = _refused(attempts, AwsCodeKind.CAPACITY, lambda at: now - at < COOL_AFTER_REFUSAL)
    return frozenset(taken) | full


def _refused(
    attempts: Sequence[Attempt], kind: AwsCodeKind, is_recent: Callable[[datetime], bool]
) -> frozenset[PoolKey]:
    """The pools that were refused for a reason of this kind."""
    return frozenset(
        (error.get("instance_type"), error.get("availability_zone"))
        for attempt in attempts
        if attempt.launch is not None
        and attempt.launch.answered_at is not None
        and is_recent(attempt.launch.answered_at)
        for error in attempt.launch.errors
        if kind_of_refusal(error) is kind
    )


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

    Spot pools are left to EC2 by price and capacity; on-demand pools are tried in our order. All that an instant fleet
    may tag is tagged, so that the bill shows whose it is: an address is charged with its network interface.
    """
    option = option_now(run)
    spot = option is PurchaseOption.SPOT
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
            "DefaultTargetCapacityType": str(option),
        },
        **strategy,
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in _TAGGED],
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
