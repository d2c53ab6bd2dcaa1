"""What a CreateFleet request asks for, read and checked."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from runctl.local.machines.catalogue import ON_DEMAND, SPOT
from runctl.local.machines.pools import read_price
from runctl.local.machines.wire.errors import AwsError, unsupported

Json = dict[str, Any]

UNDERSTOOD = frozenset(
    {
        "DryRun",
        "ClientToken",
        "Type",
        "LaunchTemplateConfigs.LaunchTemplateSpecification.LaunchTemplateId",
        "LaunchTemplateConfigs.LaunchTemplateSpecification.LaunchTemplateName",
        "LaunchTemplateConfigs.LaunchTemplateSpecification.Version",
        "LaunchTemplateConfigs.Overrides.InstanceType",
        "LaunchTemplateConfigs.Overrides.SubnetId",
        "LaunchTemplateConfigs.Overrides.AvailabilityZone",
        "LaunchTemplateConfigs.Overrides.MaxPrice",
        "LaunchTemplateConfigs.Overrides.Priority",
        "LaunchTemplateConfigs.Overrides.ImageId",
        "LaunchTemplateConfigs.Overrides.IamInstanceProfile.Arn",
        "LaunchTemplateConfigs.Overrides.IamInstanceProfile.Name",
        "LaunchTemplateConfigs.Overrides.BlockDeviceMappings.DeviceName",
        "LaunchTemplateConfigs.Overrides.BlockDeviceMappings.Ebs.VolumeSize",
        "LaunchTemplateConfigs.Overrides.BlockDeviceMappings.Ebs.VolumeType",
        "LaunchTemplateConfigs.Overrides.BlockDeviceMappings.Ebs.Iops",
        "LaunchTemplateConfigs.Overrides.BlockDeviceMappings.Ebs.Throughput",
        "LaunchTemplateConfigs.Overrides.BlockDeviceMappings.Ebs.Encrypted",
        "LaunchTemplateConfigs.Overrides.BlockDeviceMappings.Ebs.DeleteOnTermination",
        "SpotOptions.AllocationStrategy",
        "SpotOptions.InstanceInterruptionBehavior",
        "OnDemandOptions.AllocationStrategy",
        "TargetCapacitySpecification.TotalTargetCapacity",
        "TargetCapacitySpecification.OnDemandTargetCapacity",
        "TargetCapacitySpecification.SpotTargetCapacity",
        "TargetCapacitySpecification.DefaultTargetCapacityType",
        "TagSpecifications.ResourceType",
        "TagSpecifications.Tags.Key",
        "TagSpecifications.Tags.Value",
    }
)
"""Parameters of CreateFleet that have a meaning here; any other is refused. Volumes are the host's disk: their
mappings are accepted and have no effect."""

_SPOT_STRATEGIES = frozenset(
    {"lowest-price", "diversified", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized"}
)
_ON_DEMAND_STRATEGIES = frozenset({"lowest-price", "prioritized"})
_TAGGED = frozenset({"fleet", "instance", "volume", "network-interface"})
"""What an instant fleet may tag (EC2 API Reference, CreateFleet)."""


@dataclass(frozen=True)
class Override:
    """One override of a launch template, and the template's specification."""

    template: Json
    values: Json

    @property
    def priority(self) -> float:
        """Lower comes first; without one it comes last (EC2 API Reference, FleetLaunchTemplateOverridesRequest)."""
        return self.values.get("Priority", float("inf"))

    @property
    def max_price(self) -> Decimal | None:
        """The most to pay for a spot instance, in USD an hour."""
        return read_price(self.values.get("MaxPrice"))


@dataclass(frozen=True)
class FleetRequest:
    """A CreateFleet request of type instant."""

    overrides: tuple[Override, ...]
    spot_capacity: int
    on_demand_capacity: int
    spot_strategy: str
    on_demand_strategy: str
    instance_tags: dict[str, str]
    fleet_tags: dict[str, str]
    tagged: frozenset[str]
    """Types of resource that are given tags."""

    def capacity(self, option: str) -> int:
        """How many instances of a purchase option are wanted."""
        return self.spot_capacity if option == SPOT else self.on_demand_capacity

    def strategy(self, option: str) -> str:
        """How pools of a purchase option are chosen."""
        return self.spot_strategy if option == SPOT else self.on_demand_strategy


def read_request(parameters: Json) -> FleetRequest:
    """Read a request; raises `AwsError` for what EC2 refuses and for what this cloud cannot do."""
    fleet_type = parameters.get("Type", "maintain")
    if fleet_type != "instant":
        raise unsupported(f"CreateFleet of type {fleet_type} (only instant)")
    spot, on_demand = _capacities(parameters["TargetCapacitySpecification"])
    spot_options = parameters.get("SpotOptions", {})
    if spot_options.get("InstanceInterruptionBehavior", "terminate") != "terminate":
        raise unsupported("An interruption behaviour other than terminate")
    return FleetRequest(
        overrides=tuple(_overrides(parameters["LaunchTemplateConfigs"])),
        spot_capacity=spot,
        on_demand_capacity=on_demand,
        spot_strategy=_one_of(spot_options, _SPOT_STRATEGIES),
        on_demand_strategy=_one_of(parameters.get("OnDemandOptions", {}), _ON_DEMAND_STRATEGIES),
        instance_tags=_tags(parameters, "instance"),
        fleet_tags=_tags(parameters, "fleet"),
        tagged=frozenset(each["ResourceType"] for each in parameters.get("TagSpecifications", ())),
    )


def _capacities(specification: Json) -> tuple[int, int]:
    total = specification["TotalTargetCapacity"]
    spot, on_demand = specification.get("SpotTargetCapacity"), specification.get("OnDemandTargetCapacity")
    if total < 1:
        raise AwsError("InvalidParameterValue", "TotalTargetCapacity must be at least 1")
    rest = total - (spot or 0) - (on_demand or 0)
    if rest < 0 or min(spot or 0, on_demand or 0) < 0:
        raise AwsError("InvalidParameterValue", "Spot and On-Demand target capacity do not fit TotalTargetCapacity")
    # What neither names falls to the default type, which is On-Demand unless said (EC2 API Reference).
    if specification.get("DefaultTargetCapacityType", ON_DEMAND) == SPOT:
        return (spot or 0) + rest, on_demand or 0
    return spot or 0, (on_demand or 0) + rest


def _one_of(options: Json, allowed: frozenset[str]) -> str:
    strategy = options.get("AllocationStrategy", "lowest-price")
    if strategy not in allowed:
        raise AwsError("InvalidParameterValue", f"Value ({strategy}) for parameter AllocationStrategy is invalid.")
    return strategy


def _overrides(configs: list[Json]) -> list[Override]:
    found: list[Override] = []
    for config in configs:
        specification = cast("Json", config.get("LaunchTemplateSpecification", {}))
        named = {"LaunchTemplateId", "LaunchTemplateName"} & specification.keys()
        if len(named) != 1:
            raise AwsError("InvalidParameterCombination", "Give either LaunchTemplateId or LaunchTemplateName")
        if "Version" not in specification:
            raise AwsError("MissingParameter", "The request must contain the parameter LaunchTemplateVersion")
        values = cast("list[Json]", config.get("Overrides") or [{}])
        found += [Override(specification, each) for each in values]
    return found


def _tags(parameters: Json, resource_type: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for specification in parameters.get("TagSpecifications", []):
        if specification.get("ResourceType") not in _TAGGED:
            raise AwsError(
                "InvalidParameterValue", f"{specification.get('ResourceType')} cannot be tagged by CreateFleet"
            )
        if specification["ResourceType"] == resource_type:
            tags.update(read_tags(specification.get("Tags", [])))
    return tags


def read_tags(tags: list[Json]) -> dict[str, str]:
    """Read a list of tags; raises `InvalidParameterValue` for AWS's own prefix."""
    for tag in tags:
        if tag.get("Key", "").lower().startswith("aws:"):
            raise AwsError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
    return {tag["Key"]: tag.get("Value", "") for tag in tags}
