"""A run's money: reserved at its admission, booked while it runs, settled at its end."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from runctl.controller.ports import BudgetStore, RunStore
from runctl.errors import BudgetExceeded
from runctl.model.attempt import Attempt
from runctl.model.budget import Booking, Ledger, Refusal, Reservation, Scope, scopes_of
from runctl.model.run import Run
from runctl.policy import budget_ledger
from runctl.policy.admission import budget_exceeded, refuse_unknown_cost
from runctl.policy.budget_limits import default_max_cost
from runctl.policy.budget_spend import cost_until


def plan_admission(run: Run, budgets: BudgetStore, at: datetime) -> Booking:
    """Plan to reserve what the run may cost. Raises BudgetExceeded when a budget has no room for it, and under a budget
    for a run of which nobody knows what it costs."""
    scopes = scopes_of(run.project, run.user)
    ledgers = read_ledgers(budgets, scopes)
    amount = amount_to_reserve(run)
    try:
        if amount is None:
            refuse_unknown_cost(ledgers.values())
        return accepted(budget_ledger.admit(run, amount or Decimal(0), ledgers, at))
    except BudgetExceeded as refusal:
        # Of an attempt's error the message alone is kept.
        raise BudgetExceeded(f"{refusal.message} {refusal.hint}") from refusal


def amount_to_reserve(run: Run) -> Decimal | None:
    """What a run may cost; None when nobody knows. Somebody else pays for a machine that was given."""
    if run.machine is not None:
        return Decimal(0)
    return run.spec.max_cost_usd or default_max_cost(run.estimated_usd)


def accepted(planned: Booking | Refusal) -> Booking:
    """The plan. Raises BudgetExceeded for a refusal."""
    if isinstance(planned, Refusal):
        raise budget_exceeded(planned)
    return planned


def plan_settlement(run: Run, attempts: Sequence[Attempt], budgets: BudgetStore, at: datetime) -> Booking | None:
    """Plan to book what an ending run has cost and to hold nothing for it any more; None when that is done."""
    reservation = budgets.reservation(run.run_id)
    if reservation is None:
        return None
    ledgers = read_ledgers(budgets, reservation.scopes)
    return budget_ledger.settle(reservation, cost_until(run.spec, attempts, at), ledgers, at)


def book_spending(run: Run, attempts: Sequence[Attempt], budgets: BudgetStore, at: datetime) -> bool:
    """Book what an open run has spent, so that a period that has begun holds only what may be spent in it."""
    reservation = budgets.reservation(run.run_id)
    if reservation is None or reservation.released:
        return False
    ledgers = read_ledgers(budgets, reservation.scopes)
    booking = budget_ledger.book(reservation, cost_until(run.spec, attempts, at), ledgers, at)
    return booking is not None and budgets.write(booking)


def reconcile_reservation(reservation: Reservation, runs: RunStore, at: datetime) -> bool:
    """Settle a reservation whose run has ended, and let it go when all machines are gone; tells whether it went.

    An end and its settlement are one write; what comes later is EC2's word on when the last machine went. Until then
    what a machine goes on to cost, for days when it is kept, is booked as it is spent.
    """
    run = runs.run(reservation.run_id)
    if run is not None and not run.status.is_terminal:
        return False
    attempts = () if run is None else runs.attempts(run.run_id)
    ledgers = read_ledgers(runs.budgets, reservation.scopes)
    if run is not None and any(each.owns_live_machine and each.launched_at is not None for each in attempts):
        booking = budget_ledger.settle(reservation, cost_until(run.spec, attempts, at), ledgers, at)
        if booking is not None:
            runs.budgets.write(booking)
        return False
    if run is None:
        # Nothing else is known of it than what was booked.
        booking = budget_ledger.close(reservation, lambda _: reservation.booked_usd, ledgers, at)
    else:
        booking = budget_ledger.close(reservation, cost_until(run.spec, attempts, at), ledgers, at)
    return runs.budgets.write(booking)


def read_ledgers(budgets: BudgetStore, scopes: Sequence[Scope]) -> dict[Scope, Ledger | None]:
    """Read the ledgers of these scopes."""
    return {scope: budgets.ledger(scope) for scope in scopes}
