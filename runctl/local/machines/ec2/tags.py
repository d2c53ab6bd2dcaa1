"""Tags of instances; those of everything else are the emulator's."""

from collections.abc import Callable
from typing import Any

from runctl.local.machines.ec2.filters import matching
from runctl.local.machines.ec2.instances import Instances
from runctl.local.machines.fleet_request import read_tags
from runctl.local.machines.keeper import MachineKeeper
from runctl.local.machines.machine import Machine
from runctl.local.machines.wire.errors import AwsError
from runctl.local.machines.wire.upstream import Upstream

Json = dict[str, Any]

_TAG_LIMIT = 50
_FILTERS: dict[str, Callable[[Json], list[str]]] = {
    "key": lambda tag: [tag["Key"]],
    "resource-id": lambda tag: [tag["ResourceId"]],
    "resource-type": lambda tag: [tag["ResourceType"]],
    "value": lambda tag: [tag["Value"]],
}


class Tags:
    """EC2's calls about tags."""

    def __init__(self, keeper: MachineKeeper, instances: Instances, upstream: Upstream) -> None:
        self._keeper = keeper
        self._instances = instances
        self._upstream = upstream

    async def create(self, parameters: Json) -> Json:
        """CreateTags."""
        tags = read_tags(parameters["Tags"])
        machines, others = self._split(parameters)
        for machine in machines:
            own = [key for key in {**machine.tags, **tags} if not key.startswith("aws:")]
            if len(own) > _TAG_LIMIT:
                raise AwsError("TagLimitExceeded", f"More than {_TAG_LIMIT} tags on {machine.instance_id}")
        if others:
            await self._upstream.call("ec2", "CreateTags", **{**parameters, "Resources": others})
        for machine in machines:
            machine.tags.update(tags)
            self._keeper.save(machine)
        return {}

    async def delete(self, parameters: Json) -> Json:
        """DeleteTags: those named, with a value only where it is the tag's; all but AWS's own when none is named."""
        machines, others = self._split(parameters)
        if others:
            await self._upstream.call("ec2", "DeleteTags", **{**parameters, "Resources": others})
        wanted = parameters.get("Tags")
        for machine in machines:
            for key, value in list(machine.tags.items()):
                is_wanted = wanted is None or any(
                    tag.get("Key") == key and tag.get("Value", value) == value for tag in wanted
                )
                if is_wanted and not key.startswith("aws:"):
                    del machine.tags[key]
            self._keeper.save(machine)
        return {}

    async def describe(self, parameters: Json) -> Json:
        """DescribeTags of everything: instances' first, then the emulator's, whose pages are taken together."""
        found = [
            {"ResourceId": machine.instance_id, "ResourceType": "instance", "Key": key, "Value": value}
            for machine in self._keeper.all()
            for key, value in sorted(machine.tags.items())
        ]
        found = matching(found, parameters.get("Filters"), _FILTERS)
        found += (await self._upstream.call("ec2", "DescribeTags", **parameters)).get("Tags", [])
        return {"Tags": found}

    def _split(self, parameters: Json) -> tuple[list[Machine], list[str]]:
        resources = parameters["Resources"]
        ours = [self._instances.one(resource) for resource in resources if resource.startswith("i-")]
        return ours, [resource for resource in resources if not resource.startswith("i-")]
