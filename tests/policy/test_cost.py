"""What machines cost."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.model import keys
from runctl.model.attempt import Attempt, Fact, FactKind
from runctl.model.machine import SPOT_TERMINATION
from runctl.model.price import PriceSource, PriceStep, Settlement
from runctl.model.run import PurchaseOption
from runctl.model.status import Reason
from runctl.policy.cost import (
    RunCost,
    attempt_cost,
    cost_sentence,
    is_free,
    on_demand_cost,
    recomputed_usd,
    run_cost,
    usd_per_hour,
)
from runctl.policy.meter import beside_usd_per_hour, charged_span
from tests.factories import RUN_ID, after, make_attempt, with_facts

HOUR = 3_600
BESIDE = beside_usd_per_hour(100)
"""The disk and the address of a machine, an hour."""
SPOT = Decimal("0.04")
ON_DEMAND = Decimal("0.10")


def taken_back(seconds: float) -> Attempt:
    """A spot machine that EC2 took back after so many seconds."""
    gone = {"state": "terminated", "state_reason": SPOT_TERMINATION, "state_message": ""}
    return with_facts(make_attempt(gone_at=after(seconds)), FactKind.GONE, gone=gone)


def cents(amount: Decimal | None) -> Any:
    """Compare money to a hundredth of a cent."""
    return None if amount is None else pytest.approx(float(amount), abs=0.0001)


def test_a_machine_costs_its_hours_its_disk_and_its_address() -> None:
    attempt = make_attempt(gone_at=after(2 * HOUR))

    assert float(attempt_cost(attempt, after(9 * HOUR)) or 0) == cents(2 * (SPOT + BESIDE))
    assert float(on_demand_cost(attempt, after(9 * HOUR)) or 0) == cents(2 * (ON_DEMAND + BESIDE))


def test_a_larger_disk_costs_more() -> None:
    small, large = (make_attempt(gone_at=after(730 * HOUR), disk_gib=gib) for gib in (100, 200))

    difference = (attempt_cost(large, after(0)) or 0) - (attempt_cost(small, after(0)) or 0)

    assert float(difference) == pytest.approx(8.0, abs=0.001)


def test_charging_is_by_the_second_with_a_minute_at_least() -> None:
    assert charged_span(after(0), after(1), after(0)) == timedelta(seconds=60)
    assert charged_span(after(0), after(61.9), after(0)) == timedelta(seconds=61)


def test_a_machine_is_charged_until_ec2_says_that_it_goes_whatever_we_think() -> None:
    running, we_think = make_attempt(), make_attempt(ended_at=after(300))
    gone = make_attempt(ended_at=after(300), gone_at=after(310))

    assert attempt_cost(running, after(500)) == attempt_cost(we_think, after(500))
    assert (attempt_cost(gone, after(500)) or 0) < (attempt_cost(we_think, after(500)) or 0)


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
    assert (cost <= BESIDE) is free


def test_a_spot_machine_that_we_or_a_person_ended_is_not_free() -> None:
    gone = {"state": "terminated", "state_reason": "Client.UserInitiatedShutdown", "state_message": ""}
    ended = with_facts(make_attempt(gone_at=after(600)), FactKind.GONE, gone=gone)
    warned_only = with_facts(make_attempt(gone_at=after(600)), FactKind.WARNED)

    assert not is_free(ended)
    assert not is_free(warned_only)
    assert not is_free(taken_back(600).model_copy(update={"purchase_option": PurchaseOption.ON_DEMAND}))


def test_a_run_says_what_spot_saved() -> None:
    cost = run_cost([make_attempt(gone_at=after(10 * HOUR))], after(10 * HOUR))

    assert cost.saved_usd == Decimal("0.60")
    assert cost_sentence(cost) == "It cost $0.5596, 51 % less than on demand ($1.16)."


def test_a_price_that_nobody_knows_is_not_taken_for_nothing() -> None:
    known, unknown = make_attempt(1, gone_at=after(HOUR)), make_attempt(2, price_usd_per_hour=None)

    cost = run_cost([known, unknown], after(HOUR))

    assert attempt_cost(unknown, after(HOUR)) is None
    assert not cost.is_complete
    assert float(cost.accrued_usd) == cents(SPOT + BESIDE)
    assert "for the machines whose price is known" in cost_sentence(cost)


def test_without_an_on_demand_price_nothing_looks_saved() -> None:
    cost = run_cost([make_attempt(on_demand_usd_per_hour=None, gone_at=after(HOUR))], after(HOUR))

    assert cost.saved_usd == 0
    assert cost_sentence(cost) == "It cost $0.0560."


@given(st.lists(st.integers(0, 10 * HOUR), min_size=1, max_size=5), st.booleans())
def test_cost_is_exact_never_negative_and_grows_with_time(seconds: list[int], taken: bool) -> None:
    attempts = [taken_back(s) if taken else make_attempt(gone_at=after(s)) for s in seconds]
    longer = [make_attempt(gone_at=after(s + 1_000)) for s in seconds]

    cost = run_cost(attempts, after(0))

    assert Decimal(0) <= cost.accrued_usd <= cost.on_demand_usd
    assert cost.saved_usd == cost.on_demand_usd - cost.accrued_usd
    assert cost.accrued_usd < run_cost(longer, after(0)).accrued_usd


# -- paid twice --------------------------------------------------------------------------------------------------

PREFIX = keys.attempts_prefix(RUN_ID)


def interrupted(number: int, *, started: float, ended: float, reason: Reason = Reason.SPOT_INTERRUPTION) -> Attempt:
    """An attempt that trained from `started` to `ended`, hours after which its machine had gone."""
    attempt = make_attempt(number, launched_at=after(started - 60), gone_at=after(ended), reason=reason)
    facts = {FactKind.STARTED: Fact(at=after(started)), FactKind.GONE: Fact(at=after(ended))}
    return attempt.model_copy(update={"facts": facts})


def resumed(number: int, *, started: float, saved: float | None, key: str = f"{PREFIX}0001/x/manifest.json") -> Attempt:
    """An attempt that went on from a checkpoint saved at this time."""
    at = None if saved is None else after(saved)
    attempt = make_attempt(number, launched_at=after(started), resumed_from=key, resumed_from_saved_at=at)
    return attempt.model_copy(update={"facts": {FactKind.STARTED: Fact(at=after(started))}})


def test_what_was_not_saved_before_an_interruption_is_paid_twice() -> None:
    lost = interrupted(1, started=0, ended=10 * HOUR)

    assert recomputed_usd([lost]) == 0
    assert float(recomputed_usd([lost, resumed(2, started=11 * HOUR, saved=8 * HOUR)])) == cents(2 * (SPOT + BESIDE))


def test_work_of_which_nothing_was_saved_is_paid_twice_as_a_whole() -> None:
    lost = interrupted(1, started=0, ended=10 * HOUR)
    from_nothing = resumed(2, started=11 * HOUR, saved=None, key="").model_copy(update={"resumed_from": None})
    from_another_run = resumed(2, started=11 * HOUR, saved=None, key="runs/r-other/attempts/0001/x/manifest.json")

    assert recomputed_usd([lost, from_nothing]) == recomputed_usd([lost, from_another_run])
    assert float(recomputed_usd([lost, from_nothing])) == cents(10 * (SPOT + BESIDE))


def test_a_later_attempt_that_goes_further_back_makes_more_of_it_lost() -> None:
    first, second = interrupted(1, started=0, ended=4 * HOUR), interrupted(2, started=5 * HOUR, ended=7 * HOUR)
    second = second.model_copy(
        update={"resumed_from": f"{PREFIX}0001/x/manifest.json", "resumed_from_saved_at": after(3 * HOUR)}
    )

    back_to_two = recomputed_usd([first, second, resumed(3, started=8 * HOUR, saved=2 * HOUR)])

    assert float(back_to_two) == cents(4 * (SPOT + BESIDE))


def test_what_a_failing_script_did_in_vain_is_not_called_paid_twice() -> None:
    lost = interrupted(1, started=0, ended=10 * HOUR, reason=Reason.USER_ERROR)

    assert recomputed_usd([lost, resumed(2, started=11 * HOUR, saved=8 * HOUR)]) == 0


# -- settled -----------------------------------------------------------------------------------------------------


def test_a_settled_machine_costs_what_was_settled() -> None:
    settlement = Settlement(
        at=after(9 * HOUR),
        charged_from=after(0),
        charged_until=after(HOUR),
        is_free=False,
        steps=(PriceStep(since=after(0), usd_per_hour=SPOT),),
        usd=Decimal("0.07"),
        on_demand_usd=Decimal("0.12"),
    )
    attempt = make_attempt(gone_at=after(HOUR), settlement=settlement)

    cost = run_cost([attempt], after(99 * HOUR))

    assert (cost.accrued_usd, cost.on_demand_usd, cost.is_settled) == (Decimal("0.07"), Decimal("0.12"), True)
    assert not run_cost([make_attempt(gone_at=after(HOUR))], after(99 * HOUR)).is_settled


def test_an_hour_costs_the_newest_price() -> None:
    steps = (PriceStep(since=after(0), usd_per_hour=SPOT), PriceStep(since=after(9), usd_per_hour=Decimal("0.08")))

    assert float(usd_per_hour(make_attempt(price_steps=steps)) or 0) == cents(Decimal("0.08") + BESIDE)
    assert usd_per_hour(make_attempt(price_usd_per_hour=None)) is None


def test_a_cost_says_when_it_rests_on_the_bundled_table() -> None:
    assert run_cost([make_attempt(price_source=PriceSource.BUNDLED)], after(9)).rests_on_bundled
    assert not run_cost([make_attempt(price_source=PriceSource.PRICE_LIST)], after(9)).rests_on_bundled
