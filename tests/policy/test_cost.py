"""What machines cost."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.model.attempt import Attempt, FactKind
from runctl.model.machine import SPOT_TERMINATION
from runctl.model.run import PurchaseOption
from runctl.policy.cost import (
    PUBLIC_ADDRESS_USD_PER_HOUR,
    RunCost,
    attempt_cost,
    charged_for,
    cost_sentence,
    is_free,
    on_demand_cost,
    run_cost,
)
from tests.factories import after, make_attempt, with_facts

HOUR = 3_600
SPOT = Decimal("0.04")
ON_DEMAND = Decimal("0.10")


def taken_back(seconds: float) -> Attempt:
    """A spot machine that EC2 took back after so many seconds."""
    gone = {"state": "terminated", "state_reason": SPOT_TERMINATION, "state_message": ""}
    return with_facts(make_attempt(gone_at=after(seconds)), FactKind.GONE, gone=gone)


def test_a_machine_costs_its_hours_and_its_address() -> None:
    attempt = make_attempt(gone_at=after(2 * HOUR))

    assert attempt_cost(attempt, after(9 * HOUR)) == 2 * (SPOT + PUBLIC_ADDRESS_USD_PER_HOUR)
    assert on_demand_cost(attempt, after(9 * HOUR)) == 2 * (ON_DEMAND + PUBLIC_ADDRESS_USD_PER_HOUR)


def test_charging_is_by_the_second_with_a_minute_at_least() -> None:
    assert charged_for(make_attempt(gone_at=after(1)), after(0)) == timedelta(seconds=60)
    assert charged_for(make_attempt(gone_at=after(61)), after(0)) == timedelta(seconds=61)


def test_a_machine_that_runs_is_charged_until_now_and_an_ended_attempts_until_its_end() -> None:
    assert charged_for(make_attempt(), after(500)) == timedelta(seconds=500)
    assert charged_for(make_attempt(ended_at=after(300)), after(500)) == timedelta(seconds=300)
    assert charged_for(make_attempt(ended_at=after(300), gone_at=after(310)), after(500)) == timedelta(seconds=310)


def test_no_machine_costs_nothing() -> None:
    refused = make_attempt(instance_id=None, launched_at=None)

    assert attempt_cost(refused, after(HOUR)) == 0
    assert run_cost([refused], after(HOUR)) == RunCost(Decimal(0), Decimal(0), is_complete=True)


@pytest.mark.parametrize(("seconds", "free"), [(60, True), (HOUR - 1, True), (HOUR, False), (2 * HOUR, False)])
def test_a_spot_machine_that_ec2_takes_back_within_its_first_hour_is_free(seconds: int, free: bool) -> None:
    attempt = taken_back(seconds)

    cost = attempt_cost(attempt, after(9 * HOUR))

    assert is_free(attempt) is free
    assert cost is not None
    assert (cost <= PUBLIC_ADDRESS_USD_PER_HOUR) is free


def test_a_spot_machine_that_we_or_a_person_ended_is_not_free() -> None:
    gone = {"state": "terminated", "state_reason": "Client.UserInitiatedShutdown", "state_message": ""}
    ended = with_facts(make_attempt(gone_at=after(600)), FactKind.GONE, gone=gone)
    warned_only = with_facts(make_attempt(gone_at=after(600)), FactKind.WARNED)

    assert not is_free(ended)
    assert not is_free(warned_only)
    assert not is_free(taken_back(600).model_copy(update={"purchase_option": PurchaseOption.ON_DEMAND}))


def test_a_run_says_what_spot_saved() -> None:
    cost = run_cost([make_attempt(gone_at=after(10 * HOUR))], after(10 * HOUR))

    assert (cost.accrued_usd, cost.on_demand_usd, cost.saved_usd) == (Decimal("0.45"), Decimal("1.05"), Decimal("0.60"))
    assert cost_sentence(cost) == "It cost $0.4500, 57 % less than on demand ($1.05)."


def test_a_price_that_nobody_knows_is_not_taken_for_nothing() -> None:
    known, unknown = make_attempt(1, gone_at=after(HOUR)), make_attempt(2, price_usd_per_hour=None)

    cost = run_cost([known, unknown], after(HOUR))

    assert attempt_cost(unknown, after(HOUR)) is None
    assert not cost.is_complete
    assert cost.accrued_usd == Decimal("0.045")
    assert "for the machines whose price is known" in cost_sentence(cost)


def test_without_an_on_demand_price_nothing_looks_saved() -> None:
    cost = run_cost([make_attempt(on_demand_usd_per_hour=None, gone_at=after(HOUR))], after(HOUR))

    assert cost.saved_usd == 0
    assert cost_sentence(cost) == "It cost $0.0450."


@given(st.lists(st.integers(0, 10 * HOUR), min_size=1, max_size=5), st.booleans())
def test_cost_is_exact_never_negative_and_grows_with_time(seconds: list[int], taken: bool) -> None:
    attempts = [taken_back(s) if taken else make_attempt(gone_at=after(s)) for s in seconds]
    longer = [make_attempt(gone_at=after(s + 1_000)) for s in seconds]

    cost = run_cost(attempts, after(0))

    assert Decimal(0) <= cost.accrued_usd <= cost.on_demand_usd
    assert cost.saved_usd == cost.on_demand_usd - cost.accrued_usd
    assert cost.accrued_usd < run_cost(longer, after(0)).accrued_usd
