"""Where periods begin and end: properties over any time, and the borders that people ask about."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.model.budget import BudgetPeriod
from runctl.policy.budget_periods import EVER, period_end, period_start, starts_at

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=OFFSETS)  # noqa: DTZ001
ENDING = st.sampled_from([BudgetPeriod.DAY, BudgetPeriod.WEEK, BudgetPeriod.MONTH])


@given(TIMES, ENDING)
def test_a_time_lies_in_its_own_period(at: datetime, period: BudgetPeriod) -> None:
    end = period_end(period, at)

    assert end is not None
    assert period_start(period, at) <= at < end


@given(TIMES, ENDING)
def test_periods_follow_each_other_without_a_gap(at: datetime, period: BudgetPeriod) -> None:
    end = period_end(period, at)

    assert end is not None
    assert period_start(period, end) == end
    assert period_start(period, end - timedelta(microseconds=1)) == period_start(period, at)


@given(TIMES, ENDING)
def test_where_somebody_is_does_not_matter(at: datetime, period: BudgetPeriod) -> None:
    assert period_start(period, at) == period_start(period, at.astimezone(UTC))


@given(TIMES)
def test_a_day_lies_in_one_week_and_one_month(at: datetime) -> None:
    starts = starts_at(at)

    assert starts[BudgetPeriod.WEEK] <= starts[BudgetPeriod.DAY]
    assert starts[BudgetPeriod.MONTH] <= starts[BudgetPeriod.DAY]
    assert starts[BudgetPeriod.WEEK].weekday() == 0
    assert starts[BudgetPeriod.MONTH].day == 1
    assert starts[BudgetPeriod.TOTAL] == EVER
    assert period_end(BudgetPeriod.TOTAL, at) is None


@pytest.mark.parametrize(
    ("at", "ends"),
    [
        ("2026-01-31T23:59:59+00:00", "2026-02-01"),
        ("2028-02-29T12:00:00+00:00", "2028-03-01"),
        ("2026-12-31T23:59:59+00:00", "2027-01-01"),
        # Still January in Honolulu and already February in UTC.
        ("2026-01-31T20:00:00-10:00", "2026-03-01"),
        # Already the first in Auckland and still the last in UTC.
        ("2026-05-01T05:00:00+12:00", "2026-05-01"),
    ],
)
def test_months_end_in_utc(at: str, ends: str) -> None:
    end = period_end(BudgetPeriod.MONTH, datetime.fromisoformat(at))

    assert end == datetime.fromisoformat(ends).replace(tzinfo=UTC)
