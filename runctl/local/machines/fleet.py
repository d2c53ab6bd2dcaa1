"""CreateFleet of type instant: pools in order, instances and errors in one answer, replayed by client token."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from runctl.local.machines.catalogue import ON_DEMAND, SPOT
from runctl.local.machines.fleet_request import FleetRequest, Override, read_request
from runctl.local.machines.keeper import MachineKeeper
from runctl.local.machines.launch import Launcher, Pool, Template
from runctl.local.machines.machine import new_id
from runctl.local.machines.pools import Pools
from runctl.local.machines.replays import Replays
from runctl.local.machines.rights import Rights
from runctl.local.machines.wire.errors import AwsError

Json = dict[str, Any]

_ECHOED = ("InstanceType", "SubnetId", "AvailabilityZone", "MaxPrice", "Priority", "ImageId")


@dataclass(frozen=True)
class _Refusal:
    """A pool, or an override that never became one, and why it gave nothing."""

    template: Template
    override: Json
    option: str
    error: AwsError


class Fleets:
    """Creates fleets and remembers their answers."""

    def __init__(
        self,
        *,
        launcher: Launcher,
        pools: Pools,
        keeper: MachineKeeper,
        rights: Rights,
        state_dir: Path,
    ) -> None:
        self._launcher = launcher
        self._pools = pools
        self._keeper = keeper
        self._rights = rights
        self._replays = Replays(state_dir / "fleets")

    async def create(self, parameters: Json) -> Json:
        """Answer a CreateFleet request, the same request of the same token with the same answer."""
        token = cast("str", parameters.get("ClientToken") or str(uuid4()))
        return await self._replays.once(token, parameters, lambda: self._launch(read_request(parameters), token))

    async def _launch(self, request: FleetRequest, token: str) -> Json:
        fleet_id = f"fleet-{uuid4()}"
        templates = [await self._launcher.template(override.template) for override in request.overrides]
        self._rights.check_fleet({template.template_id for template in templates}, request.fleet_tags)
        instances: list[Json] = []
        refusals: list[_Refusal] = []
        for option in (ON_DEMAND, SPOT):
            if request.capacity(option):
                pools, refused = await self._candidates(request, templates, option)
                refusals += refused
                instances += await self._fill(request, pools, option, fleet_id, token, refusals)
        return {"FleetId": fleet_id, "Instances": instances, "Errors": [_error_entry(refusal) for refusal in refusals]}

    async def _candidates(
        self, request: FleetRequest, templates: list[Template], option: str
    ) -> tuple[list[tuple[Override, Pool]], list[_Refusal]]:
        """All pools of a purchase option, in the order of the allocation strategy, and the overrides that have none."""
        pools: list[tuple[Override, Pool]] = []
        refusals: list[_Refusal] = []
        for override, template in zip(request.overrides, templates, strict=True):
            instance_type = override.values.get("InstanceType") or template.data.get("InstanceType")
            try:
                if instance_type is None:
                    raise AwsError("MissingParameter", "The request must contain the parameter InstanceType")
                if not self._pools.knows(instance_type):
                    raise AwsError(
                        "Unsupported", f"runctl's local cloud does not know the instance type {instance_type}."
                    )
                subnets = await self._launcher.subnets(template, override.values)
            except AwsError as error:
                refusals.append(_Refusal(template, override.values, option, error))
                continue
            for subnet in subnets:
                pool = Pool(template, override.values, instance_type, subnet, option)
                pools.append((override, pool))
        return sorted(pools, key=lambda pair: self._rank(request.strategy(option), *pair)), refusals

    def _rank(self, strategy: str, override: Override, pool: Pool) -> tuple[float, Decimal]:
        """Sorting key; equal ones keep the request's order. Capacity is not modelled, so price stands in for it."""
        prioritized = strategy in ("prioritized", "capacity-optimized-prioritized")
        return (override.priority, Decimal(0)) if prioritized else (0.0, self._pools.price(pool))

    async def _fill(
        self,
        request: FleetRequest,
        pools: list[tuple[Override, Pool]],
        option: str,
        fleet_id: str,
        token: str,
        refusals: list[_Refusal],
    ) -> list[Json]:
        """Launch what is wanted from the first pools that give it; a refusal becomes an error of the answer."""
        open_pools: list[Pool] = []
        for override, pool in pools:
            if open_pools and request.strategy(option) != "diversified":
                break
            try:
                self._pools.check(pool, override.max_price)
                await self._launcher.image(pool)
                open_pools.append(pool)
            except AwsError as error:
                refusals.append(_Refusal(pool.template, pool.override, option, error))
        launched: dict[int, list[str]] = {}
        reservation_id = new_id("r")
        tags = {**request.instance_tags, "aws:ec2:fleet-id": fleet_id}
        for number in range(request.capacity(option) if open_pools else 0):
            index = number % len(open_pools)
            pool = open_pools[index]
            try:
                machine = await self._launcher.machine(
                    pool, tags=tags, tagged=request.tagged, client_token=token, reservation_id=reservation_id
                )
            except AwsError as error:
                refusals.append(_Refusal(pool.template, pool.override, option, error))
                break
            self._keeper.launch(machine)
            launched.setdefault(index, []).append(machine.instance_id)
        return [_instance_entry(open_pools[index], ids) for index, ids in launched.items()]


def _place(template: Template, override: Json) -> Json:
    return {
        "LaunchTemplateSpecification": {"LaunchTemplateId": template.template_id, "Version": template.version},
        "Overrides": {name: override[name] for name in _ECHOED if name in override},
    }


def _instance_entry(pool: Pool, instance_ids: list[str]) -> Json:
    placed = {**pool.override, "InstanceType": pool.instance_type, "AvailabilityZone": pool.zone}
    return {
        "LaunchTemplateAndOverrides": _place(pool.template, placed),
        "Lifecycle": pool.option,
        "InstanceIds": instance_ids,
        "InstanceType": pool.instance_type,
    }


def _error_entry(refusal: _Refusal) -> Json:
    return {
        "LaunchTemplateAndOverrides": _place(refusal.template, refusal.override),
        "Lifecycle": refusal.option,
        "ErrorCode": refusal.error.code,
        "ErrorMessage": refusal.error.message,
    }
