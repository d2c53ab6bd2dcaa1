"""Watch limits: the second line behind the one-time schedules, and the budgets of account, projects and users."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from runctl.controller.conclusion import Concluding
from runctl.controller.kept_machines import stop_kept
from runctl.controller.limits import enforce, enforce_limits, stop_at_limit
from runctl.controller.money import book_spending, reconcile_reservation
from runctl.controller.ports import Commands, Prices, TaskTokens
from runctl.controller.watch_costs import in_force
from runctl.errors import RunctlError
from runctl.model.attempt import Attempt
from runctl.model.budget import BudgetAction, BudgetPeriod, Ledger, Reservation, scopes_of
from runctl.model.ids import RunId
from runctl.model.run import Run
from runctl.model.status import Reason
from runctl.policy.budget_ledger import CostUntil, as_of
from runctl.policy.budget_limits import Reached, check
from runctl.policy.budget_periods import period_start
from runctl.policy.budget_sentences import budget_name
from runctl.policy.budget_spend import cost_until
from runctl.policy.cost import usd
from runctl.policy.pauses import may_rest

BOOKED_A_TURN: Final = 50
"""Runs whose spending is booked in one turn of the watch after a day has begun: three ledgers each are written."""


@dataclass(frozen=True)
class _Open:
    """An open run, and what is known of its money."""

    run: Run
    attempts: Sequence[Attempt]
    cost: CostUntil
    reservation: Reservation | None


def watch_limits(*, ports: Concluding, prices: Prices, tokens: TaskTokens, commands: Commands) -> dict[str, Any]:
    """Look how all open runs stand with their limits, and all budgets with what is spent; tell, and stop what must.

    A run that cannot be stopped does not keep the others from it: what it raised is raised at last.
    """
    runs, at = ports.runs, ports.now()
    held = {reservation.run_id: reservation for reservation in runs.budgets.reservations()}
    attempts_of: defaultdict[RunId, list[Attempt]] = defaultdict(list)
    for attempt in in_force(tuple(runs.unsettled_attempts()), prices, at):
        attempts_of[attempt.run_id].append(attempt)
    opened = [_open(run, attempts_of[run.run_id], ports, held, at) for run in runs.open_runs()]
    faults: list[RunctlError] = []
    for each in opened:
        try:
            _enforce(each, ports, prices=prices, tokens=tokens, commands=commands, at=at)
        except RunctlError as fault:
            faults.append(fault)
    _book_finished_days(opened, ports, at)
    closed = _close_reservations(held.values(), {each.run.run_id for each in opened}, ports, at)
    kept = _kept(attempts_of, {each.run.run_id for each in opened}, held)
    stopped, rested = _watch_budgets(opened, kept, ports, tokens=tokens, commands=commands, at=at, faults=faults)
    if faults:
        raise faults[0]
    return {
        "looked_at": len(opened),
        "stopped_by_budgets": stopped,
        "machines_stopped_by_budgets": len(rested),
        "closed_reservations": closed,
    }


def _kept(
    attempts_of: Mapping[RunId, Sequence[Attempt]], opened: Container[RunId], held: Mapping[RunId, Reservation]
) -> list[tuple[Attempt, Reservation]]:
    """The attempts that launched machines which live on after their runs, with whose ledgers they count in."""
    return [
        (attempt, held[run_id])
        for run_id, attempts in attempts_of.items()
        if run_id in held and run_id not in opened
        for attempt in attempts
        if attempt.owns_live_machine and may_rest(attempt)
    ]


def _open(
    run: Run, unsettled: Sequence[Attempt], ports: Concluding, held: dict[RunId, Reservation], at: datetime
) -> _Open:
    """Only for a run with earlier attempts these are read: what they trained counts towards its time."""
    attempts = list(unsettled)
    if run.attempt > 1:
        known = {attempt.number for attempt in unsettled}
        attempts += [each for each in ports.runs.attempts(run.run_id) if each.number not in known]
        attempts.sort(key=lambda attempt: attempt.number)
    return _Open(run, attempts, cost_until(run.spec, attempts, at), held.get(run.run_id))


def _enforce(
    seen: _Open, ports: Concluding, *, prices: Prices, tokens: TaskTokens, commands: Commands, at: datetime
) -> None:
    """Indexes show each item late for itself: a machine's cost may be seen twice, or a limit that was raised meanwhile.
    So before people are told or the run is stopped it is read again."""
    found = check(seen.run, seen.attempts, at)
    if seen.run.stop_request is None and (found.reached is not None or found.near):
        enforce_limits(seen.run.run_id, ports, prices=prices, tokens=tokens, commands=commands)
    else:
        enforce(seen.run, seen.attempts, ports, tokens=tokens, commands=commands)


def _book_finished_days(opened: Sequence[_Open], ports: Concluding, at: datetime) -> None:
    """Once a day is over, what was spent in it is no longer reserved in the next."""
    today = period_start(BudgetPeriod.DAY, at)
    due = [each for each in opened if each.reservation is not None and each.reservation.booked_until < today]
    for each in due[:BOOKED_A_TURN]:
        book_spending(each.run, each.attempts, ports.runs.budgets, at)


def _close_reservations(
    held: Iterable[Reservation], opened: set[RunId], ports: Concluding, at: datetime
) -> list[RunId]:
    """Let go of what ended runs held, once their last machines are paid for."""
    return [
        reservation.run_id
        for reservation in held
        if reservation.run_id not in opened and reconcile_reservation(reservation, ports.runs, at)
    ]


def _watch_budgets(
    opened: Sequence[_Open],
    kept: Sequence[tuple[Attempt, Reservation]],
    ports: Concluding,
    *,
    tokens: TaskTokens,
    commands: Commands,
    at: datetime,
    faults: list[RunctlError],
) -> tuple[list[RunId], list[str]]:
    stopped: list[RunId] = []
    rested: list[str] = []
    for stored in ports.runs.budgets.ledgers():
        ledger = as_of(stored, at)
        members = [each for each in opened if ledger.scope in scopes_of(each.run.project, each.run.user)]
        for period, budget in ledger.budgets.items():
            spent = _spent(ledger, period, members, at)
            name = budget_name(ledger.scope, period, usd(budget.amount_usd))
            _tell(ledger, period, spent, name, ports)
            if budget.action is not BudgetAction.STOP_ALL or spent < budget.amount_usd:
                continue
            reached = Reached(Reason.BUDGET, f"{name}, is used up: {usd(spent)} is spent.")
            by = f"the budget of {ledger.scope}"
            for each in members:
                if each.run.stop_request is not None:
                    continue
                try:
                    stop_at_limit(each.run, reached, ports, tokens=tokens, commands=commands, at=at, by=by)
                    stopped.append(each.run.run_id)
                except RunctlError as fault:
                    faults.append(fault)
            launchers = [attempt for attempt, reservation in kept if ledger.scope in reservation.scopes]
            deeds = stop_kept(launchers, reached, ports, tokens=tokens, commands=commands, at=at, by=by, faults=faults)
            if deeds:
                ports.notifications.send(f"runctl: {by} stopped {len(deeds)} kept machines", "\n".join(deeds))
            rested += deeds
    return stopped, rested


def _spent(ledger: Ledger, period: BudgetPeriod, members: Sequence[_Open], at: datetime) -> Decimal:
    """What is spent in the period, with what open runs have cost that is not booked yet."""
    sums = ledger.periods[period]
    unbooked = Decimal(0)
    for each in members:
        reservation = each.reservation
        if reservation is None:
            continue
        since_start = reservation.booked_until >= sums.start
        before = reservation.booked_usd if since_start else each.cost(sums.start)
        unbooked += each.cost(at) - before
    return sums.spent_usd + unbooked


def _tell(ledger: Ledger, period: BudgetPeriod, spent: Decimal, name: str, ports: Concluding) -> None:
    """Tell people of the highest threshold that is passed and that they were not told of."""
    budget, sums = ledger.budgets[period], ledger.periods[period]
    passed = tuple(sorted(each for each in budget.thresholds if spent * 100 >= budget.amount_usd * each))
    if not passed or set(passed) <= set(sums.told):
        return
    if not ports.runs.budgets.mark_told(ledger.scope, period, sums.start, passed):
        return
    text = f"{name}: {usd(spent)} is spent ({passed[-1]} %), {usd(ledger.reserved_usd)} is reserved for open runs."
    ports.notifications.send(f"runctl: {passed[-1]} % of the budget of {ledger.scope} is spent", text)
