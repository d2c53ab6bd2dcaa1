"""When a machine's bill is final, and what it says: the meter applied to what EC2 said last."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from runctl.model.attempt import Attempt
from runctl.model.machine import SPOT_TERMINATION, MachineState, MachineView
from runctl.model.price import PriceStep, Settlement, Spending
from runctl.model.run import DEFAULT_DISK_GIB, PurchaseOption, Run
from runctl.policy.cost import is_free, recomputed_usd, rests_on_bundled
from runctl.policy.meter import MachineUse, charged_span, is_free_of_charge, meter, steps_between
from runctl.policy.pauses import FIRST_START_WITHIN, pauses

EVIDENCE_WITHIN: Final = timedelta(minutes=10)
"""EC2 names the reason of an end by the time at which the machine is `terminated`, a minute or two after
`shutting-down`. After this long what is known is all that will be."""


def is_ready_to_settle(attempt: Attempt, view: MachineView | None, now: datetime) -> bool:
    """Whether EC2 has said that the machine goes, and nothing more is to be learnt of how."""
    if not attempt.is_unsettled or attempt.gone_at is None:
        return False
    return view is None or view.state is MachineState.TERMINATED or now - attempt.gone_at >= EVIDENCE_WITHIN


def settlement_of(
    attempt: Attempt, earlier: Sequence[Attempt], view: MachineView | None, moved: Sequence[PriceStep], now: datetime
) -> Settlement | None:
    """Bill a machine for good. `moved` are its spot pool's prices, `view` is what EC2 shows of it now, `earlier` are
    the run's attempts before it. None when no price is known: asked again later."""
    if attempt.launched_at is None or attempt.gone_at is None:
        return None
    start, end = _launched(attempt.launched_at, view), _gone(attempt.gone_at, view)
    steps = _steps(attempt, moved, start, start + charged_span(start, end, now))
    if not steps:
        return None
    free = is_free(attempt) or is_free_of_charge(
        is_spot=attempt.purchase_option is PurchaseOption.SPOT,
        taken_back=view is not None and view.state_reason == SPOT_TERMINATION,
        launched_at=start,
        gone_at=end,
    )
    use = MachineUse(
        start,
        end,
        steps,
        attempt.on_demand_usd_per_hour,
        is_free=free,
        disk_gib=attempt.disk_gib or DEFAULT_DISK_GIB,
        pauses=pauses(attempt),
    )
    charge = meter(use, now)
    again = recomputed_usd((*earlier, attempt)) - recomputed_usd(earlier)
    return Settlement(
        at=now,
        charged_from=start,
        charged_until=end,
        is_free=free,
        steps=steps,
        usd=charge.usd,
        on_demand_usd=charge.usd if charge.on_demand_usd is None else charge.on_demand_usd,
        recomputed_usd=max(Decimal(0), again),
    )


def spending_of(run: Run, attempt: Attempt, settlement: Settlement) -> Spending:
    """Write the ledger's line of a settled machine."""
    return Spending(
        run_id=run.run_id,
        name=run.name,
        attempt=attempt.number,
        project=run.project,
        user=run.user,
        machine=attempt.instance_id or "",
        instance_type=attempt.instance_type or "",
        availability_zone=attempt.availability_zone or "",
        purchase_option="" if attempt.purchase_option is None else attempt.purchase_option.value,
        launched_at=settlement.charged_from,
        ended_at=settlement.charged_until,
        reason="" if attempt.reason is None else attempt.reason.value,
        usd=settlement.usd,
        on_demand_usd=settlement.on_demand_usd,
        recomputed_usd=settlement.recomputed_usd,
        bundled_price=rests_on_bundled(attempt),
        settled_at=settlement.at,
    )


def _launched(at: datetime, view: MachineView | None) -> datetime:
    """EC2's own launch time where it still shows the machine; ours is when its answer came. Of one that was started
    again it shows the last start only."""
    if view is None or view.launched_at is None or view.launched_at > at + FIRST_START_WITHIN:
        return at
    return view.launched_at


def _gone(at: datetime, view: MachineView | None) -> datetime:
    """EC2's own time of the end where it tells one; what we saw may have been seen late, never early."""
    return at if view is None or view.changed_at is None else min(at, view.changed_at)


def _steps(attempt: Attempt, moved: Sequence[PriceStep], start: datetime, end: datetime) -> tuple[PriceStep, ...]:
    """The prices in force; the launch's own where the history does not reach back, or on demand."""
    usd = attempt.price_usd_per_hour
    at_launch = () if usd is None else (PriceStep(since=start, usd_per_hour=usd),)
    if attempt.purchase_option is not PurchaseOption.SPOT:
        return at_launch
    kept = steps_between(moved, start, end)
    if kept and kept[0].since <= start:
        return kept
    return steps_between((*at_launch, *kept), start, end)
