"""Setting and reading budgets."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from runctl.client.deployment import BudgetTable
from runctl.client.money import number
from runctl.errors import NotFoundError, PermissionDenied, StaleWriteError, UsageError
from runctl.model.base import iso
from runctl.model.budget import DEFAULT_THRESHOLDS, Budget, BudgetAction, BudgetPeriod, Ledger, Scope, scopes_of
from runctl.policy.admission import refuse_without_room
from runctl.policy.budget_ledger import as_of, opened
from runctl.policy.budget_setting import ends_at, refuse_amount, refuse_overdrawn, room_usd, scope_named

_TRIES: Final = 10
"""How often a budget is set while admissions change its ledger."""


class Budgets:
    """The budgets of an account, as a person sets and reads them."""

    def __init__(self, table: BudgetTable, *, user: str, project: str, now: Callable[[], datetime]) -> None:
        self._table = table
        self._user = user
        self._project = project
        self._now = now

    def scope(self, text: str) -> Scope:
        """Read `account`, `project[:NAME]` or `user[:NAME]`; without a name this project, this user."""
        return scope_named(text, project=self._project, user=self._user)

    def set(
        self,
        scope: Scope,
        period: BudgetPeriod,
        amount_usd: Decimal,
        *,
        thresholds: Sequence[int] | None = None,
        action: BudgetAction | None = None,
    ) -> Ledger:
        """Set a budget, or change it: what is not given stays as it was. Answers the ledger as it then is.

        Raises UsageError for an amount that no budget can have, or that open runs would go beyond.
        """
        refuse_amount(amount_usd)

        def changed(ledger: Ledger, now: datetime) -> Budget:
            before = ledger.budgets.get(period)
            budget = Budget(
                amount_usd=amount_usd,
                thresholds=_thresholds(thresholds, before),
                action=action or (BudgetAction.STOP_NEW if before is None else before.action),
                set_by=self._user,
                set_at=now,
            )
            refuse_overdrawn(ledger, period, budget, now)
            return budget

        return self._change(scope, period, changed)

    def require_room(self, project: str, amount_usd: Decimal | None) -> None:
        """Raise BudgetExceeded when a budget has no room for a run now. The controller asks again and its answer
        counts, so that who may not read budgets submits without this question."""
        scopes = scopes_of(project, self._user)
        try:
            ledgers = {scope: self._table.ledger(scope) for scope in scopes}
        except PermissionDenied:
            return
        refuse_without_room(scopes, amount_usd, ledgers, self._now())

    def delete(self, scope: Scope, period: BudgetPeriod) -> Ledger:
        """Take a budget away; what was spent and reserved stays known. Raises NotFoundError when none is set."""

        def changed(ledger: Ledger, _now: datetime) -> None:
            if period not in ledger.budgets:
                raise NotFoundError(f"No budget is set for {scope}, period {period.value}.", hint=_LIST_HINT)

        return self._change(scope, period, changed)

    def show(self, scope: Scope) -> Ledger:
        """A scope's ledger in the periods of now. Raises NotFoundError when nothing is known of it."""
        ledger = self._table.ledger(scope)
        if ledger is None:
            raise NotFoundError(f"No budget is set for {scope}, and nothing was spent.", hint=_LIST_HINT)
        return as_of(ledger, self._now())

    def all(self) -> tuple[Ledger, ...]:
        """The ledgers with budgets, in the periods of now."""
        now = self._now()
        return tuple(as_of(ledger, now) for ledger in self._table.ledgers() if ledger.budgets)

    def document(self, ledger: Ledger) -> dict[str, Any]:
        """Write a ledger as JSON output shows it."""
        now = self._now()
        return {
            "scope": ledger.scope.kind.value,
            "name": ledger.scope.name or None,
            "reserved_usd": number(ledger.reserved_usd),
            "periods": {period.value: _period_document(ledger, period, now) for period in BudgetPeriod},
        }

    def _change(
        self, scope: Scope, period: BudgetPeriod, changed: Callable[[Ledger, datetime], Budget | None]
    ) -> Ledger:
        for _ in range(_TRIES):
            now = self._now()
            stored = self._table.ledger(scope)
            read = opened(scope, now) if stored is None else stored
            budget = changed(read, now)
            if self._table.set_budget(read, period, budget, is_new=stored is None):
                return self.show(scope)
        raise StaleWriteError(
            f"The budget of {scope} changes all the time; it was not set.", hint="Give the command again."
        )


_LIST_HINT: Final = "See: runctl budget list"


def _thresholds(asked: Sequence[int] | None, before: Budget | None) -> tuple[int, ...]:
    if asked is None:
        return DEFAULT_THRESHOLDS if before is None else before.thresholds
    if not asked or any(not 1 <= percent <= 100 for percent in asked):
        raise UsageError("Thresholds are percentages from 1 to 100.", hint="Write for example: --thresholds 50,80,100")
    return tuple(sorted(set(asked)))


def _period_document(ledger: Ledger, period: BudgetPeriod, now: datetime) -> dict[str, Any]:
    sums, budget = ledger.periods[period], ledger.budgets.get(period)
    return {
        "spent_usd": number(sums.spent_usd),
        "starts_at": None if period is BudgetPeriod.TOTAL else iso(sums.start),
        "ends_at": ends_at(period, now),
        "budget": None
        if budget is None
        else {
            "amount_usd": number(budget.amount_usd),
            "left_usd": number(room_usd(ledger, period, now)),
            "thresholds": list(budget.thresholds),
            "action": budget.action.value,
            "set_by": budget.set_by,
            "set_at": iso(budget.set_at),
        },
    }
