"""Moving money between reserved and spent: pure decisions over ledgers and reservations.

Each answers a `Booking`: the reservation as it is afterwards, and what is added to each ledger. Amounts are whole
millionths of a dollar, so that sums are exact.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from runctl.model.budget import (
    Booking,
    Ledger,
    LedgerChange,
    PeriodSums,
    Refusal,
    Reservation,
    Scope,
)
from runctl.model.run import Run
from runctl.policy.budget_periods import period_end, starts_at

MICRODOLLAR: Final = Decimal("0.000001")

Ledgers = Mapping[Scope, Ledger | None]
CostUntil = Callable[[datetime], Decimal]
"""What a run has cost until a time, by what is known of it now."""


def money(amount: Decimal) -> Decimal:
    """Round to a millionth of a dollar."""
    return amount.quantize(MICRODOLLAR, ROUND_HALF_UP)


def opened(scope: Scope, now: datetime) -> Ledger:
    """The ledger of a scope that nothing was ever booked for."""
    return Ledger(scope=scope, periods={period: PeriodSums(start=start) for period, start in starts_at(now).items()})


def as_of(ledger: Ledger, now: datetime) -> Ledger:
    """The ledger in the periods of `now`: in those that have begun since, nothing is spent yet."""
    periods = {
        period: sums if sums.start >= start else PeriodSums(start=start, committed_usd=ledger.reserved_usd)
        for period, start in starts_at(now).items()
        for sums in (ledger.periods[period],)
    }
    return ledger.model_copy(update={"periods": periods})


def admit(run: Run, amount_usd: Decimal, ledgers: Ledgers, now: datetime) -> Booking | Refusal:
    """Reserve what a run may cost, in all ledgers that it belongs to, or in none."""
    reservation = Reservation(
        run_id=run.run_id, project=run.project, user=run.user, amount_usd=money(amount_usd), booked_until=now
    )
    refusal = refused(reservation.scopes, reservation.amount_usd, ledgers, now)
    if refusal is not None:
        return refusal
    changes = tuple(_limited(ledgers[scope], scope, reservation.amount_usd, now) for scope in reservation.scopes)
    return Booking(run_id=run.run_id, version_before=None, reservation=reservation, changes=changes)


def extend(reservation: Reservation, amount_usd: Decimal, ledgers: Ledgers, now: datetime) -> Booking | Refusal:
    """Hold another amount for an open run. More of it is admitted as a new run is; less is always allowed."""
    changed = reservation.model_copy(update={"amount_usd": money(amount_usd), "version": reservation.version + 1})
    more = changed.held_usd - reservation.held_usd
    if more > 0:
        refusal = refused(reservation.scopes, more, ledgers, now)
        if refusal is not None:
            return refusal
    change = _limited if more > 0 else _unlimited
    changes = tuple(change(ledgers[scope], scope, more, now) for scope in reservation.scopes)
    return Booking(run_id=reservation.run_id, version_before=reservation.version, reservation=changed, changes=changes)


def refused(scopes: Iterable[Scope], more_usd: Decimal, ledgers: Ledgers, now: datetime) -> Refusal | None:
    """The first budget in which `more_usd` has no room; None when there is room in all."""
    for scope in scopes:
        stored = ledgers[scope]
        if stored is None:
            continue
        ledger = as_of(stored, now)
        for period, budget in ledger.budgets.items():
            sums = ledger.periods[period]
            if budget.limits and sums.committed_usd + more_usd > budget.amount_usd:
                return Refusal(
                    scope=scope,
                    period=period,
                    amount_usd=budget.amount_usd,
                    reserved_usd=ledger.reserved_usd,
                    spent_usd=sums.spent_usd,
                    asked_usd=more_usd,
                    begins_again_at=period_end(period, now),
                )
    return None


def book(reservation: Reservation, cost_until: CostUntil, ledgers: Ledgers, at: datetime) -> Booking | None:
    """Move what an open run has spent until `at` from reserved to spent; None when there is nothing to move."""
    return _booked(reservation, cost_until, ledgers, at, released=False)


def settle(reservation: Reservation, cost_until: CostUntil, ledgers: Ledgers, at: datetime) -> Booking | None:
    """Book what an ended run has cost and hold nothing for it any more. Repeated, it corrects what was booked."""
    return _booked(reservation, cost_until, ledgers, at, released=True)


def close(reservation: Reservation, cost_until: CostUntil, ledgers: Ledgers, at: datetime) -> Booking:
    """Settle for the last time: all machines of the run are gone, so that its reservation may go too."""
    settled = _booked(reservation, cost_until, ledgers, at, released=True)
    return Booking(
        run_id=reservation.run_id,
        version_before=reservation.version,
        reservation=None,
        changes=() if settled is None else settled.changes,
    )


def _booked(
    reservation: Reservation, cost_until: CostUntil, ledgers: Ledgers, at: datetime, *, released: bool
) -> Booking | None:
    at = max(at, reservation.booked_until)
    spent = money(cost_until(at))
    changed = reservation.model_copy(
        update={
            "booked_usd": spent,
            "booked_until": at,
            "released": released or reservation.released,
            "version": reservation.version + 1,
        }
    )
    if spent == reservation.booked_usd and changed.released == reservation.released:
        return None
    changes = tuple(
        _spending(ledgers[scope], scope, reservation, changed, cost_until, at) for scope in reservation.scopes
    )
    return Booking(run_id=reservation.run_id, version_before=reservation.version, reservation=changed, changes=changes)


def _spending(
    stored: Ledger | None,
    scope: Scope,
    before: Reservation,
    after: Reservation,
    cost_until: CostUntil,
    at: datetime,
) -> LedgerChange:
    """Only what was spent since a period's beginning counts in it."""
    change = _unlimited(stored, scope, after.held_usd - before.held_usd, at)
    spent = {
        period: after.booked_usd - (before.booked_usd if before.booked_until >= start else money(cost_until(start)))
        for period, start in change.starts.items()
    }
    return change.model_copy(update={"spent_delta_usd": spent})


def _unlimited(stored: Ledger | None, scope: Scope, reserved_usd: Decimal, now: datetime) -> LedgerChange:
    if stored is None:
        return LedgerChange(scope=scope, is_new=True, starts=starts_at(now), reserved_delta_usd=reserved_usd)
    return LedgerChange(
        scope=scope,
        starts_before={period: sums.start for period, sums in stored.periods.items()},
        # A clock that is behind another writer's does not open a period again.
        starts={period: sums.start for period, sums in as_of(stored, now).periods.items()},
        reserved_delta_usd=reserved_usd,
    )


def _limited(stored: Ledger | None, scope: Scope, reserved_usd: Decimal, now: datetime) -> LedgerChange:
    change = _unlimited(stored, scope, reserved_usd, now)
    if stored is None:
        return change
    room = {p: budget.amount_usd - reserved_usd for p, budget in stored.budgets.items() if budget.limits}
    return change.model_copy(update={"at_most_usd": room, "budgets_version": stored.budgets_version})
