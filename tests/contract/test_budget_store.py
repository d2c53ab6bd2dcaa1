"""What every store of budgets keeps: one suite over all implementations."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from runctl.errors import StaleWriteError
from runctl.model.budget import (
    ACCOUNT,
    Booking,
    Budget,
    BudgetAction,
    BudgetPeriod,
    Ledger,
    Refusal,
    Reservation,
    Scope,
)
from runctl.model.ids import RunId
from runctl.model.ledger import applied
from runctl.model.run import Run
from runctl.model.status import Reason, RunStatus
from runctl.policy import budget_ledger
from tests.contract.examples import FIRST, OTHER_RUN_ID, RUN_ID, START, a_run, an_attempt, an_event
from tests.contract.stores import Stores

NOON = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(hours=13)
"""The first of April, an hour after midnight."""


def a_budget(amount: str = "10", **fields: object) -> Budget:
    """Make a budget of ada's."""
    return Budget.model_validate({"amount_usd": Decimal(amount), "set_by": "ada", "set_at": NOON, **fields})


def ledgers(stores: Stores) -> dict[Scope, Ledger | None]:
    """Read the ledgers of the run's scopes."""
    reservation = Reservation(run_id=RUN_ID, project="vision", user="ada", amount_usd=Decimal(1), booked_until=NOON)
    return {scope: stores.budgets.ledger(scope) for scope in reservation.scopes}


def reserve(stores: Stores, amount: str, run: Run | None = None, at: datetime = NOON) -> Booking:
    """Plan an admission that has room."""
    booking = budget_ledger.admit(run or a_run(), Decimal(amount), ledgers(stores), at)
    assert isinstance(booking, Booking)
    return booking


def spend(stores: Stores, amount: str, at: datetime, *, release: bool = False) -> Booking:
    """Plan to book what the run has spent until then, evenly since noon."""
    reservation = stores.budgets.reservation(RUN_ID)
    assert reservation is not None

    def cost_until(moment: datetime) -> Decimal:
        return Decimal(amount) * Decimal((moment - NOON) / (at - NOON))

    move = budget_ledger.settle if release else budget_ledger.book
    booking = move(reservation, cost_until, ledgers(stores), at)
    assert booking is not None
    return booking


def sums(stores: Stores, period: BudgetPeriod, scope: Scope = ACCOUNT) -> tuple[Decimal, Decimal, Decimal]:
    """Read what is reserved, spent and committed."""
    ledger = stores.budgets.ledger(scope)
    assert ledger is not None
    found = ledger.periods[period]
    return ledger.reserved_usd, found.spent_usd, found.committed_usd


def test_nothing_is_read_where_nothing_was_booked(stores: Stores) -> None:
    assert stores.budgets.ledger(ACCOUNT) is None
    assert stores.budgets.ledgers() == ()
    assert stores.budgets.reservation(RUN_ID) is None
    assert list(stores.budgets.reservations()) == []


def test_a_reservation_is_held_in_every_ledger_of_its_run(stores: Stores) -> None:
    booking = reserve(stores, "2.50")

    assert stores.budgets.write(booking)

    assert stores.budgets.reservation(RUN_ID) == booking.reservation
    assert [ledger.scope.key for ledger in stores.budgets.ledgers()] == ["account", "project#vision", "user#ada"]
    assert {ledger.reserved_usd for ledger in stores.budgets.ledgers()} == {Decimal("2.50")}


def test_the_table_makes_of_a_ledger_what_the_model_says(stores: Stores) -> None:
    stores.budgets.write(reserve(stores, "2.50"))

    for amount, at, release in (("1.10", LATER, False), ("1.25", LATER + timedelta(hours=1), True)):
        booking = spend(stores, amount, at, release=release)
        expected = [applied(stores.budgets.ledger(change.scope), change) for change in booking.changes]
        assert stores.budgets.write(booking)
        assert [stores.budgets.ledger(change.scope) for change in booking.changes] == expected


def test_a_reservation_is_made_once(stores: Stores) -> None:
    booking = reserve(stores, "2.50")
    stores.budgets.write(booking)

    assert not stores.budgets.write(booking)

    assert sums(stores, BudgetPeriod.DAY) == (Decimal("2.50"), 0, Decimal("2.50"))


def test_what_is_spent_is_no_longer_reserved(stores: Stores) -> None:
    stores.budgets.write(reserve(stores, "2.50"))

    stores.budgets.write(spend(stores, "1", NOON + timedelta(hours=1)))

    assert sums(stores, BudgetPeriod.TOTAL) == (Decimal("1.50"), Decimal(1), Decimal("2.50"))


def test_only_what_is_spent_after_a_periods_beginning_counts_in_it(stores: Stores) -> None:
    stores.budgets.write(reserve(stores, "20"))

    stores.budgets.write(spend(stores, "13", LATER))

    assert sums(stores, BudgetPeriod.DAY) == (Decimal(7), Decimal(1), Decimal(8))
    assert sums(stores, BudgetPeriod.MONTH) == (Decimal(7), Decimal(1), Decimal(8))
    assert sums(stores, BudgetPeriod.WEEK) == (Decimal(7), Decimal(13), Decimal(20))


def test_an_end_releases_what_was_not_spent(stores: Stores) -> None:
    stores.budgets.write(reserve(stores, "2.50"))

    stores.budgets.write(spend(stores, "1", NOON + timedelta(hours=1), release=True))

    assert sums(stores, BudgetPeriod.DAY, Scope.of_key("project#vision")) == (0, Decimal(1), Decimal(1))


def test_an_end_is_written_with_its_money_or_not_at_all(stores: Stores) -> None:
    run = a_run()
    stores.runs.create_run(run)
    begun = stores.runs.begin_attempt(
        run.model_copy(update={"attempt": FIRST}), an_attempt(), booking=reserve(stores, "2")
    )
    ended = begun.model_copy(update={"status": RunStatus.STOPPED, "reason": Reason.BUDGET})
    booking = spend(stores, "1", NOON + timedelta(hours=1), release=True)
    stores.budgets.write(spend(stores, "0.50", NOON + timedelta(minutes=30)))

    with pytest.raises(StaleWriteError):
        stores.runs.save_run(ended, [an_event("concluded")], booking=booking)

    assert stores.runs.run(RUN_ID) == begun
    assert sums(stores, BudgetPeriod.DAY) == (Decimal("1.50"), Decimal("0.50"), Decimal(2))
    stores.runs.save_run(ended, booking=spend(stores, "1", NOON + timedelta(hours=1), release=True))
    assert sums(stores, BudgetPeriod.DAY) == (0, Decimal(1), Decimal(1))


def test_a_run_is_admitted_with_its_money_or_not_at_all(stores: Stores) -> None:
    run, booking = a_run(), reserve(stores, "2")
    stores.runs.create_run(run)
    stores.runs.save_run(run.model_copy(update={"message": "somebody was here"}))

    with pytest.raises(StaleWriteError):
        stores.runs.begin_attempt(run.model_copy(update={"attempt": FIRST}), an_attempt(), booking=booking)

    assert stores.budgets.reservation(RUN_ID) is None
    assert stores.budgets.ledgers() == ()


def test_a_budget_set_meanwhile_refuses_an_admission_that_was_planned_without_it(stores: Stores) -> None:
    stores.budgets.write(reserve(stores, "1", a_run(OTHER_RUN_ID)))
    planned = reserve(stores, "5")
    read = stores.budgets.ledger(ACCOUNT)
    assert read is not None

    assert stores.budgets.set_budget(read, BudgetPeriod.DAY, a_budget("3"))

    assert not stores.budgets.write(planned)
    refusal = budget_ledger.admit(a_run(), Decimal(5), ledgers(stores), NOON)
    assert isinstance(refusal, Refusal)
    assert (refusal.scope, refusal.reserved_usd, refusal.asked_usd) == (ACCOUNT, 1, 5)


def test_of_two_admissions_with_room_for_one_the_second_is_refused(stores: Stores) -> None:
    fresh = budget_ledger.opened(ACCOUNT, NOON)
    stores.budgets.set_budget(fresh, BudgetPeriod.MONTH, a_budget("10"), is_new=True)
    first, second = reserve(stores, "6"), reserve(stores, "6", a_run(OTHER_RUN_ID))

    assert stores.budgets.write(first)
    assert not stores.budgets.write(second)

    assert sums(stores, BudgetPeriod.MONTH) == (Decimal(6), 0, Decimal(6))


def test_a_new_period_has_room_again_but_for_what_is_still_reserved(stores: Stores) -> None:
    fresh = budget_ledger.opened(ACCOUNT, NOON)
    stores.budgets.set_budget(fresh, BudgetPeriod.DAY, a_budget("10"), is_new=True)
    stores.budgets.write(reserve(stores, "9"))
    stores.budgets.write(spend(stores, "6", NOON + timedelta(hours=1)))

    too_much = budget_ledger.admit(a_run(OTHER_RUN_ID), Decimal("7.50"), ledgers(stores), LATER)
    booking = budget_ledger.admit(a_run(OTHER_RUN_ID), Decimal(7), ledgers(stores), LATER)

    assert isinstance(too_much, Refusal)
    assert isinstance(booking, Booking)
    assert stores.budgets.write(booking)
    assert sums(stores, BudgetPeriod.DAY) == (Decimal(10), 0, Decimal(10))


def test_a_budget_may_not_pass_by_what_was_admitted_meanwhile(stores: Stores) -> None:
    stores.budgets.write(reserve(stores, "1"))
    read = stores.budgets.ledger(ACCOUNT)
    assert read is not None
    stores.budgets.write(reserve(stores, "6", a_run(OTHER_RUN_ID)))

    assert not stores.budgets.set_budget(read, BudgetPeriod.DAY, a_budget("3"))

    again = stores.budgets.ledger(ACCOUNT)
    assert again is not None
    assert again.budgets == {}


def test_a_budget_is_read_as_it_was_set_and_goes_when_it_is_removed(stores: Stores) -> None:
    budget = a_budget("12.34", action=BudgetAction.STOP_ALL, thresholds=(25, 100))
    fresh = budget_ledger.opened(Scope.of_key("user#ada"), NOON)

    assert stores.budgets.set_budget(fresh, BudgetPeriod.WEEK, budget, is_new=True)
    assert not stores.budgets.set_budget(fresh, BudgetPeriod.WEEK, budget, is_new=True)
    (kept,) = stores.budgets.ledgers()
    assert kept.budgets == {BudgetPeriod.WEEK: budget}

    assert stores.budgets.set_budget(kept, BudgetPeriod.WEEK, None)
    (kept,) = stores.budgets.ledgers()
    assert kept.budgets == {}


def test_a_threshold_is_told_once_a_period(stores: Stores) -> None:
    stores.budgets.write(reserve(stores, "2"))
    ledger = stores.budgets.ledger(ACCOUNT)
    assert ledger is not None
    start = ledger.periods[BudgetPeriod.DAY].start

    assert stores.budgets.mark_told(ACCOUNT, BudgetPeriod.DAY, start, (50,))
    assert not stores.budgets.mark_told(ACCOUNT, BudgetPeriod.DAY, start, (50,))
    assert not stores.budgets.mark_told(ACCOUNT, BudgetPeriod.DAY, start - timedelta(days=1), (50, 80))

    stores.budgets.write(spend(stores, "1", LATER))
    again = stores.budgets.ledger(ACCOUNT)
    assert again is not None
    assert again.periods[BudgetPeriod.DAY].told == ()


def test_thresholds_of_another_amount_are_told_anew(stores: Stores) -> None:
    stores.budgets.write(reserve(stores, "2"))
    ledger = stores.budgets.ledger(ACCOUNT)
    assert ledger is not None
    budget = Budget(amount_usd=Decimal(10), set_by="ada", set_at=START)
    stores.budgets.set_budget(ledger, BudgetPeriod.DAY, budget)
    stores.budgets.mark_told(ACCOUNT, BudgetPeriod.DAY, ledger.periods[BudgetPeriod.DAY].start, (50, 80))

    told: list[tuple[int, ...]] = []
    for changed in (budget.model_copy(update={"set_by": "bob"}), budget.model_copy(update={"amount_usd": Decimal(20)})):
        read = stores.budgets.ledger(ACCOUNT)
        assert read is not None
        assert stores.budgets.set_budget(read, BudgetPeriod.DAY, changed)
        after = stores.budgets.ledger(ACCOUNT)
        assert after is not None
        told.append(after.periods[BudgetPeriod.DAY].told)

    assert told == [(50, 80), ()]


def test_a_closed_reservation_is_gone(stores: Stores) -> None:
    stores.budgets.write(reserve(stores, "2"))
    stores.budgets.write(spend(stores, "1", NOON + timedelta(hours=1), release=True))
    reservation = stores.budgets.reservation(RUN_ID)
    assert reservation is not None

    booking = budget_ledger.close(reservation, lambda _: Decimal("1.01"), ledgers(stores), NOON + timedelta(hours=2))

    assert stores.budgets.write(booking)
    assert stores.budgets.reservation(RunId(RUN_ID)) is None
    assert sums(stores, BudgetPeriod.TOTAL) == (0, Decimal("1.01"), Decimal("1.01"))
