"""What machines cost: by the second with a minute at least, and free when EC2 took a spot machine back early.

Sources: Amazon EC2 pricing (per-second billing, 60 seconds minimum); EC2 User Guide, "Billing for interrupted Spot
Instances"; Amazon VPC pricing (public IPv4 addresses); EC2 User Guide, "Instance lifecycle": charging ends at
`shutting-down` and `stopping`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from runctl.model.attempt import Attempt
from runctl.model.run import PurchaseOption
from runctl.policy import facts

MINIMUM: Final = timedelta(seconds=60)
FREE_WHEN_INTERRUPTED_WITHIN: Final = timedelta(hours=1)
PUBLIC_ADDRESS_USD_PER_HOUR: Final = Decimal("0.005")

DISK_USD_PER_GIB_HOUR: Final = Decimal("0.08") / 730
"""A gp3 volume of Region us-east-1 with the throughput that comes with it (Amazon EBS pricing, by the month of 730
hours); other Regions ask up to twice that."""

_HOUR = Decimal(3_600)
_CENT_FRACTION = Decimal("0.000001")


@dataclass(frozen=True)
class RunCost:
    """What a run has cost so far. Attempts whose price is unknown are not in the sums; `is_complete` tells."""

    accrued_usd: Decimal
    on_demand_usd: Decimal
    """What the same seconds would have cost on demand."""
    is_complete: bool

    @property
    def saved_usd(self) -> Decimal:
        """What spot saved; never negative."""
        return max(Decimal(0), self.on_demand_usd - self.accrued_usd)

    @property
    def saved_percent(self) -> int:
        """The same as a share of the on-demand price."""
        return int(self.saved_usd * 100 / self.on_demand_usd) if self.on_demand_usd else 0


def charged_for(attempt: Attempt, now: datetime) -> timedelta:
    """For how long the attempt's machine is charged; nothing when none was launched."""
    if attempt.instance_id is None or attempt.launched_at is None:
        return timedelta()
    end = attempt.gone_at or attempt.ended_at or now
    return max(MINIMUM, end - attempt.launched_at)


def is_free(attempt: Attempt) -> bool:
    """Whether EC2 took the spot machine back within its first hour, as its state reason says."""
    gone = facts.departure(attempt)
    if gone is None or not gone.is_spot_interruption or attempt.purchase_option is not PurchaseOption.SPOT:
        return False
    if attempt.gone_at is None or attempt.launched_at is None:
        return False
    return attempt.gone_at - attempt.launched_at < FREE_WHEN_INTERRUPTED_WITHIN


def attempt_cost(attempt: Attempt, now: datetime) -> Decimal | None:
    """What an attempt costs in USD, its public address included; None when the machine's price is not known."""
    if attempt.instance_id is None:
        return Decimal(0)
    if attempt.price_usd_per_hour is None:
        return None
    price = Decimal(0) if is_free(attempt) else attempt.price_usd_per_hour
    return _times(price + PUBLIC_ADDRESS_USD_PER_HOUR, charged_for(attempt, now))


def on_demand_cost(attempt: Attempt, now: datetime) -> Decimal | None:
    """What the same seconds cost on demand; None when that price is not known."""
    if attempt.instance_id is None:
        return Decimal(0)
    if attempt.on_demand_usd_per_hour is None:
        return None
    return _times(attempt.on_demand_usd_per_hour + PUBLIC_ADDRESS_USD_PER_HOUR, charged_for(attempt, now))


def run_cost(attempts: Iterable[Attempt], now: datetime) -> RunCost:
    """Add up a run's attempts."""
    accrued, on_demand, is_complete = Decimal(0), Decimal(0), True
    for attempt in attempts:
        usd, instead = attempt_cost(attempt, now), on_demand_cost(attempt, now)
        if usd is None:
            is_complete = False
            continue
        accrued += usd
        # Without an on-demand price nothing may look saved.
        on_demand += usd if instead is None else instead
    return RunCost(accrued, on_demand, is_complete)


def usd(amount: Decimal) -> str:
    """Write an amount for people: cents from a dollar on, more digits below it."""
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.4f}"


def cost_sentence(cost: RunCost) -> str:
    """Say what a run cost and what spot saved."""
    text = f"It cost {usd(cost.accrued_usd)}" + ("" if cost.is_complete else " for the machines whose price is known")
    if cost.saved_percent > 0:
        text += f", {cost.saved_percent} % less than on demand ({usd(cost.on_demand_usd)})"
    return text + "."


def _times(usd_per_hour: Decimal, span: timedelta) -> Decimal:
    seconds = Decimal(span // timedelta(seconds=1))
    return (usd_per_hour * seconds / _HOUR).quantize(_CENT_FRACTION, rounding=ROUND_HALF_UP)
