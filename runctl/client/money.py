"""What was spent and what costs now, as the command line asks for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from runctl.client.deployment import Prices
from runctl.client.live_prices import with_live_prices
from runctl.model.attempt import Attempt
from runctl.model.base import iso
from runctl.model.figures import Figures
from runctl.model.ids import InstanceId
from runctl.model.machine import MachineView
from runctl.model.names import Tag
from runctl.model.price import Price, PriceStep
from runctl.model.run import DEFAULT_DISK_GIB, PurchaseOption, Run
from runctl.policy import cost as costs
from runctl.policy.meter import MachineUse, beside_usd_per_hour, disk_usd_per_hour, meter
from runctl.policy.pauses import STOPS, may_rest, with_sighting
from runctl.policy.reports import MOST_EXPENSIVE, Report, Sums


@dataclass(frozen=True)
class Resource:
    """A machine that is paid for."""

    machine: MachineView
    usd_per_hour: Decimal | None
    """With disk and public address, of a stopped one its disk alone; None when the price is not known."""
    usd: Decimal | None
    """So far."""
    has_run: bool
    """Whether an open run or one whose machine still goes owns it."""

    def uptime(self, now: datetime) -> timedelta:
        """Since its last start; nothing of one that is stopped."""
        view = self.machine
        return timedelta() if view.launched_at is None or view.state in STOPS else now - view.launched_at


@dataclass(frozen=True)
class Unsettled:
    """Machines that are not in the ledger yet: they run, or ended a few minutes ago."""

    machines: int
    usd: Decimal
    """So far, of those whose price is known."""
    unpriced: int


def unsettled(attempts: Sequence[Attempt], prices: Prices, now: datetime) -> Unsettled:
    """Add up what machines that are not settled have cost."""
    launched = [each for each in with_live_prices(attempts, prices, now) if costs.use_of(each) is not None]
    known = [usd for each in launched if (usd := costs.attempt_cost(each, now)) is not None]
    return Unsettled(len(launched), sum(known, Decimal(0)), len(launched) - len(known))


def resources(
    machines: Iterable[MachineView], attempts: Sequence[Attempt], prices: Prices, now: datetime
) -> tuple[Resource, ...]:
    """Say of each machine what it costs: by its attempt's prices, else by those of its pool now."""
    owners: Mapping[InstanceId, Attempt] = {
        attempt.instance_id: attempt
        for attempt in with_live_prices(attempts, prices, now)
        if attempt.instance_id is not None
    }
    found = [_resource(view, owners.get(view.instance_id), prices, now) for view in machines]
    return tuple(sorted(found, key=lambda each: (each.machine.launched_at or now, each.machine.instance_id)))


def _resource(view: MachineView, owner: Attempt | None, prices: Prices, now: datetime) -> Resource:
    if owner is not None:
        seen = with_sighting(owner, view, now) if may_rest(owner) else owner
        return Resource(view, costs.usd_per_hour(seen), costs.attempt_cost(seen, now), has_run=True)
    price = _price(view, prices)
    if price is None:
        return Resource(view, None, None, has_run=False)
    launched = view.launched_at or now
    if view.state in STOPS:
        # Nobody knows when this one ran; its disk is all that goes on costing.
        return Resource(view, disk_usd_per_hour(DEFAULT_DISK_GIB), None, has_run=False)
    steps = (PriceStep(since=launched, usd_per_hour=price.usd_per_hour),)
    spent = meter(MachineUse(launched, None, steps), now).usd
    return Resource(view, price.usd_per_hour + beside_usd_per_hour(DEFAULT_DISK_GIB), spent, has_run=False)


def _price(view: MachineView, prices: Prices) -> Price | None:
    if view.purchase_option is PurchaseOption.ON_DEMAND:
        return prices.on_demand(view.instance_type)
    return prices.spot_by_zone(view.instance_type).get(view.availability_zone)


# -- documents ---------------------------------------------------------------------------------------------------


def resource_document(resource: Resource, now: datetime) -> dict[str, Any]:
    """Write a machine as JSON output shows it."""
    view = resource.machine
    return {
        "instance_id": view.instance_id,
        "state": view.state.value,
        "instance_type": view.instance_type,
        "availability_zone": view.availability_zone,
        "purchase_option": view.purchase_option.value,
        "run_id": view.tags.get(Tag.RUN),
        "has_run": resource.has_run,
        "project": view.tags.get(Tag.PROJECT),
        "user": view.tags.get(Tag.USER),
        "launched_at": None if view.launched_at is None else iso(view.launched_at),
        "uptime_s": int(resource.uptime(now).total_seconds()),
        "public_address": view.public_address or None,
        "private_address": view.private_address or None,
        "usd_per_hour": number(resource.usd_per_hour),
        "cost_usd": number(resource.usd),
    }


def summary_document(found: Sequence[Resource], figures: Figures | None) -> dict[str, Any]:
    """Write how many machines there are of each kind, and what they cost together."""
    by_type: dict[str, int] = {}
    by_state: dict[str, int] = {}
    for each in found:
        kind = f"{each.machine.instance_type} {each.machine.purchase_option.value}"
        by_type[kind] = by_type.get(kind, 0) + 1
        by_state[each.machine.state.value] = by_state.get(each.machine.state.value, 0) + 1
    return {
        "machines": len(found),
        "without_run": sum(not each.has_run for each in found),
        "public_addresses": sum(bool(each.machine.public_address) for each in found),
        "by_type": dict(sorted(by_type.items())),
        "by_state": dict(sorted(by_state.items())),
        "usd_per_hour": number(sum((each.usd_per_hour or Decimal(0) for each in found), Decimal(0))),
        "cost_usd": number(sum((each.usd or Decimal(0) for each in found), Decimal(0))),
        "unpriced": sum(each.usd_per_hour is None for each in found),
        "month_usd": None if figures is None else number(figures.month_usd),
        "forecast_usd": None if figures is None else number(figures.forecast_usd),
    }


def report_document(told: Report, unsettled: Unsettled) -> dict[str, Any]:
    """Write a report as JSON output shows it."""
    now = told.now
    return {
        "first": str(told.first),
        "last": str(told.last),
        "total": _sums(told.total),
        "by_project": {name: _sums(sums) for name, sums in told.by_project.items()},
        "by_user": {name: _sums(sums) for name, sums in told.by_user.items()},
        "by_type": {name: _sums(sums) for name, sums in told.by_type.items()},
        "most_expensive": [
            {"run_id": run_id, "name": told.names.get(run_id), **_sums(sums)}
            for run_id, sums in list(told.by_run.items())[:MOST_EXPENSIVE]
        ],
        "anomalies": list(told.anomalies),
        "unsettled": {
            "machines": unsettled.machines,
            "usd": number(unsettled.usd),
            "unpriced": unsettled.unpriced,
        },
        "running": None
        if now is None
        else {
            "at": iso(now.at),
            "runs": len(now.runs),
            "usd": number(sum((run.usd for run in now.runs.values()), Decimal(0))),
            "usd_per_hour": number(now.usd_per_hour),
            "forecast_usd": number(now.forecast_usd),
            "month_usd": number(now.month_usd),
        },
    }


def attempt_costs_document(run: Run, attempts: Sequence[Attempt], now: datetime) -> dict[str, Any]:
    """Write what a run's machines cost, one by one."""
    whole = costs.run_cost(attempts, now)
    return {
        "run_id": run.run_id,
        "name": run.name,
        "estimated_usd": number(run.estimated_usd),
        "accrued_usd": number(whole.accrued_usd),
        "on_demand_usd": number(whole.on_demand_usd),
        "saved_usd": number(whole.saved_usd),
        "recomputed_usd": number(whole.recomputed_usd),
        "is_settled": whole.is_settled,
        "rests_on_bundled_prices": whole.rests_on_bundled,
        "machines": [_machine_cost(attempt, now) for attempt in attempts if costs.use_of(attempt) is not None],
    }


def _machine_cost(attempt: Attempt, now: datetime) -> dict[str, Any]:
    use = costs.use_of(attempt)
    assert use is not None
    charge = meter(use, now) if use.steps else None
    return {
        "attempt": attempt.number,
        "instance_id": attempt.instance_id,
        "instance_type": attempt.instance_type,
        "availability_zone": attempt.availability_zone,
        "purchase_option": None if attempt.purchase_option is None else attempt.purchase_option.value,
        "charged_from": iso(use.launched_at),
        "charged_until": None if use.gone_at is None else iso(use.gone_at),
        "is_free": use.is_free,
        "is_settled": attempt.settlement is not None,
        "price_changes": max(0, len(use.steps) - 1),
        "machine_usd": None if charge is None else number(charge.machine_usd),
        "disk_and_address_usd": None if charge is None else number(charge.beside_usd),
        "cost_usd": number(costs.attempt_cost(attempt, now)),
    }


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "usd": number(sums.usd),
        "on_demand_usd": number(sums.on_demand_usd),
        "saved_usd": number(sums.saved_usd),
        "recomputed_usd": number(sums.recomputed_usd),
        "machines": sums.machines,
        "runs": len(sums.runs),
    }


def number(amount: Decimal | None) -> float | None:
    """Money as JSON shows it."""
    return None if amount is None else float(round(amount, 6))
