"""The smallest limit that pays for saving at it."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from runctl.policy.budget_limits import KEPT_BACK_AT_MOST, kept_back_usd, least_max_cost
from tests.factories import make_run, make_spec

HOURLY = st.decimals("0.5", "100", places=4)
SAVE_S = st.integers(30, 3_600)


@given(HOURLY, SAVE_S)
def test_with_it_all_that_saving_may_cost_is_kept_back_and_with_less_not(hourly: Decimal, save_s: int) -> None:
    least = least_max_cost(hourly, timedelta(seconds=save_s))
    saving = hourly * (save_s + 60) / 3_600
    at, below = (
        kept_back_usd(make_run(spec=make_spec(max_cost_usd=limit, save_limit_s=save_s)), hourly)
        for limit in (least, least * Decimal("0.9"))
    )

    assert abs(at - saving) < Decimal("0.00001")
    assert below < saving
    assert below == least * Decimal("0.9") * KEPT_BACK_AT_MOST
