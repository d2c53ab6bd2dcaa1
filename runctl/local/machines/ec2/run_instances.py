"""RunInstances: one pool, all or as many as there are, or an error."""

from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from runctl.local.machines.catalogue import ON_DEMAND, SPOT
from runctl.local.machines.ec2.view import instance_view
from runctl.local.machines.fleet_request import read_tags
from runctl.local.machines.keeper import MachineKeeper
from runctl.local.machines.launch import Launcher, Pool, Template
from runctl.local.machines.machine import Machine, new_id
from runctl.local.machines.pools import Pools, read_price
from runctl.local.machines.replays import Replays
from runctl.local.machines.wire.errors import AwsError, unsupported

Json = dict[str, Any]

TEMPLATE_PARAMETERS = frozenset(
    {
        "BlockDeviceMappings",
        "IamInstanceProfile",
        "ImageId",
        "InstanceInitiatedShutdownBehavior",
        "InstanceMarketOptions",
        "InstanceType",
        "KeyName",
        "MetadataOptions",
        "NetworkInterfaces",
        "Placement",
        "SecurityGroupIds",
        "SubnetId",
        "UserData",
    }
)
"""Parameters that mean here what they mean in a launch template, whose own they replace."""

UNDERSTOOD = (TEMPLATE_PARAMETERS - {"Placement"}) | {
    "ClientToken",
    "LaunchTemplate",
    "MaxCount",
    "MinCount",
    "Placement.AvailabilityZone",
    "TagSpecifications",
}
_COUNT_LIMIT = 20


class RunInstances:
    """Launches instances one request at a time."""

    def __init__(
        self,
        *,
        launcher: Launcher,
        pools: Pools,
        keeper: MachineKeeper,
        state_dir: Path,
        region: str,
        account_id: str,
    ) -> None:
        self._launcher = launcher
        self._pools = pools
        self._keeper = keeper
        self._replays = Replays(state_dir / "launches")
        self._region = region
        self._account_id = account_id

    async def run(self, parameters: Json) -> Json:
        """RunInstances."""
        token = cast("str", parameters.get("ClientToken") or str(uuid4()))

        async def launch() -> Json:
            machines = await self._launch(parameters, token)
            return {"InstanceIds": [machine.instance_id for machine in machines]}

        launched = await self._replays.once(token, parameters, launch)
        machines = [machine for each in launched["InstanceIds"] if (machine := self._keeper.get(each)) is not None]
        if not machines:
            raise AwsError("InvalidParameterValue", "The instances of this client token are forgotten.")
        return {
            "ReservationId": machines[0].reservation_id,
            "OwnerId": self._account_id,
            "Groups": [],
            "Instances": [instance_view(machine, self._region) for machine in machines],
        }

    async def _launch(self, parameters: Json, token: str) -> list[Machine]:
        count = _count(parameters)
        template = await self._template(parameters)
        option, max_price = _market(template.data.get("InstanceMarketOptions", {}))
        instance_type = cast("str", template.data.get("InstanceType", "m1.small"))
        if not self._pools.knows(instance_type):
            raise AwsError("InvalidParameterValue", f"Invalid value '{instance_type}' for InstanceType.")
        zone = template.data.get("Placement", {}).get("AvailabilityZone")
        override = {"AvailabilityZone": zone} if zone else {}
        if max_price is not None:
            override["MaxPrice"] = max_price
        subnets = await self._launcher.subnets(template, override)
        pool = Pool(template, override, instance_type, subnets[0], option)
        try:
            self._pools.check(pool, read_price(max_price))
        except AwsError as error:
            if error.code != "UnfulfillableCapacity":
                raise
            message = "There is no Spot capacity available that matches your request."
            raise AwsError("InsufficientInstanceCapacity", message, 500) from error
        tags = _instance_tags(parameters)
        tagged = frozenset(each.get("ResourceType", "") for each in parameters.get("TagSpecifications", ()))
        reservation_id = new_id("r")
        machines = [
            await self._launcher.machine(
                pool, tags=tags, tagged=tagged, client_token=token, reservation_id=reservation_id
            )
            for _ in range(count)
        ]
        for machine in machines:
            self._keeper.launch(machine)
        return machines

    async def _template(self, parameters: Json) -> Template:
        given = {name: parameters[name] for name in TEMPLATE_PARAMETERS if name in parameters}
        named = cast("Json", parameters.get("LaunchTemplate", {}))
        if not named:
            return Template("", "", given)
        template = await self._launcher.template({"Version": "$Default", **named})
        return Template(template.template_id, template.version, {**template.data, **given})


def _count(parameters: Json) -> int:
    least, most = parameters["MinCount"], parameters["MaxCount"]
    if not 1 <= least <= most:
        raise AwsError("InvalidParameterValue", f"Value ({least}) for parameter minCount is invalid.")
    if most > _COUNT_LIMIT:
        raise unsupported(f"RunInstances of more than {_COUNT_LIMIT} instances")
    return most


def _market(options: Json) -> tuple[str, str | None]:
    """The purchase option and the most to pay."""
    if options.get("MarketType") != SPOT:
        return ON_DEMAND, None
    spot = cast("Json", options.get("SpotOptions", {}))
    if spot.get("SpotInstanceType", "one-time") != "one-time":
        raise unsupported("A persistent spot request")
    if spot.get("InstanceInterruptionBehavior", "terminate") != "terminate":
        raise unsupported("An interruption behaviour other than terminate")
    return SPOT, spot.get("MaxPrice")


def _instance_tags(parameters: Json) -> dict[str, str]:
    tags: dict[str, str] = {}
    for specification in parameters.get("TagSpecifications", []):
        if specification.get("ResourceType") == "instance":
            tags.update(read_tags(specification.get("Tags", [])))
    return tags
