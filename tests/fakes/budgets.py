"""A budgets table in memory: `BudgetStore` of the ports, held to the same contract suite as DynamoDB's."""

from collections.abc import Iterator
from datetime import datetime
from threading import RLock

from runctl.model.budget import Booking, Budget, BudgetPeriod, Ledger, Reservation, Scope
from runctl.model.ids import RunId
from runctl.model.ledger import applied, starts_telling_anew


class InMemoryBudgets:
    """Ledgers and reservations; `lock` makes a write one, whoever else is about to write."""

    def __init__(self) -> None:
        self._ledgers: dict[str, Ledger] = {}
        self._reservations: dict[RunId, Reservation] = {}
        self.lock = RLock()

    def ledger(self, scope: Scope) -> Ledger | None:
        return self._ledgers.get(scope.key)

    def ledgers(self) -> tuple[Ledger, ...]:
        return tuple(self._ledgers[key] for key in sorted(self._ledgers))

    def reservation(self, run_id: RunId) -> Reservation | None:
        return self._reservations.get(run_id)

    def reservations(self) -> Iterator[Reservation]:
        for run_id in sorted(self._reservations):
            yield self._reservations[run_id]

    def write(self, booking: Booking) -> bool:
        with self.lock:
            stored = self._reservations.get(booking.run_id)
            if booking.version_before != (None if stored is None else stored.version):
                return False
            ledgers = {change.scope.key: applied(self.ledger(change.scope), change) for change in booking.changes}
            if None in ledgers.values():
                return False
            self._ledgers.update({key: ledger for key, ledger in ledgers.items() if ledger is not None})
            if booking.reservation is None:
                self._reservations.pop(booking.run_id, None)
            else:
                self._reservations[booking.run_id] = booking.reservation
            return True

    def set_budget(self, read: Ledger, period: BudgetPeriod, budget: Budget | None, *, is_new: bool = False) -> bool:
        with self.lock:
            stored = self.ledger(read.scope)
            if (stored is None) != is_new:
                return False
            if stored is not None and stored.budgets_version != read.budgets_version:
                return False
            current, seen = (stored or read).periods[period], read.periods[period]
            if budget is not None and (
                current.start != seen.start or current.committed_usd > max(budget.amount_usd, seen.committed_usd)
            ):
                return False
            budgets = {key: each for key, each in read.budgets.items() if key is not period}
            if budget is not None:
                budgets[period] = budget
            update: dict[str, object] = {"budgets": budgets, "budgets_version": read.budgets_version + 1}
            if stored is not None and budget is not None and starts_telling_anew(read, period, budget):
                update["periods"] = {**stored.periods, period: current.model_copy(update={"told": ()})}
            self._ledgers[read.scope.key] = (stored or read).model_copy(update=update)
            return True

    def mark_told(self, scope: Scope, period: BudgetPeriod, start: datetime, told: tuple[int, ...]) -> bool:
        with self.lock:
            stored = self.ledger(scope)
            if stored is None or stored.periods[period].start != start or stored.periods[period].told == told:
                return False
            sums = stored.periods[period].model_copy(update={"told": told})
            self._ledgers[scope.key] = stored.model_copy(update={"periods": {**stored.periods, period: sums}})
            return True
