"""What runs cost: the bills of their machines (runctl.policy.meter) added up, and what spot saved."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from runctl.model import keys
from runctl.model.attempt import Attempt, FactKind
from runctl.model.price import PriceSource, PriceStep
from runctl.model.run import DEFAULT_DISK_GIB, PurchaseOption
from runctl.model.status import Reason
from runctl.policy import facts
from runctl.policy.meter import (
    MachineUse,
    beside_usd_per_hour,
    disk_usd_per_hour,
    is_free_of_charge,
    meter,
    meter_between,
)
from runctl.policy.pauses import pauses

_PAID_TWICE: Final = frozenset({Reason.SPOT_INTERRUPTION, Reason.MACHINE_LOST})
"""Endings after which what had not been saved is computed again, through nobody's fault."""


@dataclass(frozen=True)
class RunCost:
    """What a run has cost so far. Attempts whose price is unknown are not in the sums; `is_complete` tells."""

    accrued_usd: Decimal
    on_demand_usd: Decimal
    """What the same seconds would have cost on demand."""
    is_complete: bool
    recomputed_usd: Decimal = Decimal(0)
    """The part of it that was paid for work done again after interruptions."""
    is_settled: bool = True
    """Whether nothing will be added: EC2 has said how each machine ended."""
    rests_on_bundled: bool = False
    """Whether a price in it rests on the table that comes with runctl."""

    @property
    def saved_usd(self) -> Decimal:
        """What spot saved; never negative."""
        return max(Decimal(0), self.on_demand_usd - self.accrued_usd)

    @property
    def saved_percent(self) -> int:
        """The same as a share of the on-demand price."""
        return int(self.saved_usd * 100 / self.on_demand_usd) if self.on_demand_usd else 0


def use_of(attempt: Attempt) -> MachineUse | None:
    """What an attempt's machine is billed for; None when it has none, or one that a user gave."""
    if attempt.instance_id is None or attempt.launched_at is None:
        return None
    disk_gib = attempt.disk_gib or DEFAULT_DISK_GIB
    settled = attempt.settlement
    if settled is not None:
        return MachineUse(
            settled.charged_from,
            settled.charged_until,
            settled.steps,
            attempt.on_demand_usd_per_hour,
            is_free=settled.is_free,
            disk_gib=disk_gib,
            pauses=pauses(attempt),
        )
    steps = attempt.price_steps
    if not steps and attempt.price_usd_per_hour is not None:
        steps = (PriceStep(since=attempt.launched_at, usd_per_hour=attempt.price_usd_per_hour),)
    return MachineUse(
        attempt.launched_at,
        attempt.gone_at,
        steps,
        attempt.on_demand_usd_per_hour,
        is_free=is_free(attempt),
        disk_gib=disk_gib,
        pauses=pauses(attempt),
    )


def is_free(attempt: Attempt) -> bool:
    """Whether EC2 took the spot machine back within its first hour, as its state reason says."""
    gone = facts.departure(attempt)
    if gone is None or attempt.gone_at is None or attempt.launched_at is None:
        return False
    return is_free_of_charge(
        is_spot=attempt.purchase_option is PurchaseOption.SPOT,
        taken_back=gone.is_spot_interruption,
        launched_at=attempt.launched_at,
        gone_at=attempt.gone_at,
    )


def attempt_cost(attempt: Attempt, now: datetime) -> Decimal | None:
    """What an attempt costs in USD, disk and address included; None when the machine's price is not known."""
    if attempt.settlement is not None:
        return attempt.settlement.usd
    use = use_of(attempt)
    if use is None:
        return Decimal(0)
    return meter(use, now).usd if use.steps else None


def on_demand_cost(attempt: Attempt, now: datetime) -> Decimal | None:
    """What the same seconds cost on demand; None when that price is not known."""
    if attempt.settlement is not None:
        return attempt.settlement.on_demand_usd
    use = use_of(attempt)
    if use is None:
        return Decimal(0)
    return meter(use, now).on_demand_usd if use.steps else None


def usd_per_hour(attempt: Attempt) -> Decimal | None:
    """What the attempt's machine costs an hour now, disk and address included; its disk alone while it is stopped. None
    when its price is not known."""
    use = use_of(attempt)
    if use is None:
        return Decimal(0)
    if use.is_stopped:
        return disk_usd_per_hour(use.disk_gib)
    if not use.steps:
        return None
    newest = max(use.steps, key=lambda step: step.since)
    return newest.usd_per_hour + beside_usd_per_hour(use.disk_gib)


def run_cost(attempts: Iterable[Attempt], now: datetime) -> RunCost:
    """Add up a run's attempts."""
    accrued, on_demand, is_complete = Decimal(0), Decimal(0), True
    known = tuple(attempts)
    for attempt in known:
        usd, instead = attempt_cost(attempt, now), on_demand_cost(attempt, now)
        if usd is None:
            is_complete = False
            continue
        accrued += usd
        # Without an on-demand price nothing may look saved.
        on_demand += usd if instead is None else instead
    return RunCost(
        accrued,
        on_demand,
        is_complete,
        recomputed_usd(known),
        is_settled=not any(attempt.is_unsettled for attempt in known),
        rests_on_bundled=any(rests_on_bundled(attempt) for attempt in known),
    )


def rests_on_bundled(attempt: Attempt) -> bool:
    """Whether a price of the attempt is the bundled table's."""
    return PriceSource.BUNDLED in (attempt.price_source, attempt.on_demand_source)


def recomputed_usd(attempts: Sequence[Attempt]) -> Decimal:
    """Add up what machines were paid for training that a later one had to do again, because they were interrupted or
    lost: from the moment that was resumed from until the training's end."""
    total = Decimal(0)
    for attempt in attempts:
        later = [each for each in attempts if each.number > attempt.number and FactKind.STARTED in each.facts]
        use, started = use_of(attempt), attempt.facts.get(FactKind.STARTED)
        if attempt.reason not in _PAID_TWICE or use is None or not use.steps or started is None or not later:
            continue
        points = [_resume_point(each, started.at) for each in later]
        known = [point for point in points if point is not None]
        if known:
            total += meter_between(use, max(started.at, min(known)), _training_end(attempt, started.at))
    return total


def _resume_point(attempt: Attempt, beginning: datetime) -> datetime | None:
    """The time of the work that an attempt went on from; `beginning` when it had nothing of this run's, None when it
    is not known."""
    if attempt.resumed_from is None or not attempt.resumed_from.startswith(keys.attempts_prefix(attempt.run_id)):
        return beginning
    return attempt.resumed_from_saved_at


def _training_end(attempt: Attempt, started_at: datetime) -> datetime:
    ends = [attempt.facts[kind].at for kind in (FactKind.ENDED, FactKind.GONE) if kind in attempt.facts]
    if attempt.gone_at is not None:
        ends.append(attempt.gone_at)
    return min(ends, default=started_at)


def usd(amount: Decimal) -> str:
    """Write an amount for people: cents from a dollar on, more digits below it."""
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.4f}"


def cost_sentence(cost: RunCost) -> str:
    """Say what a run cost and what spot saved."""
    text = f"It cost {usd(cost.accrued_usd)}" + ("" if cost.is_complete else " for the machines whose price is known")
    if cost.saved_percent > 0:
        text += f", {cost.saved_percent} % less than on demand ({usd(cost.on_demand_usd)})"
    if cost.recomputed_usd >= Decimal("0.01"):
        text += f"; {usd(cost.recomputed_usd)} of it for work done again after interruptions"
    return text + "."
