"""Where periods begin and end: at midnight UTC, weeks on Monday (ISO 8601), months on the first."""

from datetime import UTC, datetime, timedelta
from typing import Final

from runctl.model.budget import BudgetPeriod

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Where the period `total` begins."""


def period_start(period: BudgetPeriod, at: datetime) -> datetime:
    """The beginning of the period that `at` lies in; a beginning lies in its own period."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case BudgetPeriod.DAY:
            return midnight
        case BudgetPeriod.WEEK:
            return midnight - timedelta(days=midnight.weekday())
        case BudgetPeriod.MONTH:
            return midnight.replace(day=1)
        case BudgetPeriod.TOTAL:
            return EVER


def period_end(period: BudgetPeriod, at: datetime) -> datetime | None:
    """The beginning of the next period; None when there is none."""
    start = period_start(period, at)
    match period:
        case BudgetPeriod.DAY:
            return start + timedelta(days=1)
        case BudgetPeriod.WEEK:
            return start + timedelta(days=7)
        case BudgetPeriod.MONTH:
            return (start + timedelta(days=31)).replace(day=1)
        case BudgetPeriod.TOTAL:
            return None


def starts_at(at: datetime) -> dict[BudgetPeriod, datetime]:
    """The beginnings of all periods that `at` lies in."""
    return {period: period_start(period, at) for period in BudgetPeriod}
