"""Prices of machines, and what was charged for one whose end is known."""

from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from runctl.model.base import Model, UtcDatetime


class PriceSource(StrEnum):
    """Who said what an hour costs."""

    PRICE_LIST = "price-list"
    """The AWS Price List."""
    SPOT_HISTORY = "spot-history"
    """EC2's spot price history."""
    BUNDLED = "bundled"
    """The small table that comes with runctl, for when nobody else answers: it may be out of date."""


class Price(Model):
    """What an hour costs, and who says so."""

    usd_per_hour: Decimal
    source: PriceSource
    as_of: str
    """When that was so: an ISO time, or the month of the bundled table."""


class PriceStep(Model):
    """A price from a moment on, until the next step."""

    since: UtcDatetime
    usd_per_hour: Decimal


class Settlement(Model):
    """What one machine cost, written once when EC2 has said how and when it ended."""

    at: UtcDatetime
    """When it was settled."""
    charged_from: UtcDatetime
    charged_until: UtcDatetime
    is_free: bool
    """Whether EC2 took the spot machine back within its first hour: then its disk and its address alone are charged."""
    steps: tuple[PriceStep, ...]
    """The prices in force while the machine was charged, the first one from its launch or before."""
    usd: Decimal
    on_demand_usd: Decimal
    recomputed_usd: Decimal = Decimal(0)
    """What earlier machines of the run were paid for work that this one had to do again."""


DIGEST_AFTER: Final = timedelta(hours=1)
"""How long after midnight UTC a day's lines are waited for. Machines are settled within a quarter of an hour of their
end, unless nobody tells a price. A digest before that tells of the day before yesterday."""


class Spending(Model):
    """A settled machine as one line of the ledger, item `SPENT#<day> / <time>#<run>#<attempt>` of the runs table: what
    reports of days and weeks add up."""

    run_id: str
    name: str
    attempt: int
    project: str
    user: str
    machine: str
    instance_type: str
    availability_zone: str
    purchase_option: str
    launched_at: UtcDatetime
    ended_at: UtcDatetime
    reason: str = ""
    usd: Decimal
    on_demand_usd: Decimal
    recomputed_usd: Decimal
    bundled_price: bool = False
    """Whether a price in it rests on the bundled table."""
    settled_at: UtcDatetime | None = None

    @property
    def told_on(self) -> date:
        """The day whose digest tells of it: that of its end, or, where it was settled too late for that, of its
        settlement. Fixed by the line itself, so that each is told once, whenever digests are sent."""
        ended = self.ended_at.date()
        return ended if self.settled_at is None else max(ended, (self.settled_at - DIGEST_AFTER).date())

    @property
    def is_late(self) -> bool:
        """Whether it was settled too late for the digest of the day on which it ended."""
        return self.told_on != self.ended_at.date()
