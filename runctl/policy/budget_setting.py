"""What a budget may be set to: pure, on the ledger as it was read."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Final

from runctl.errors import UsageError
from runctl.model.base import iso
from runctl.model.budget import Budget, BudgetPeriod, BudgetScope, Ledger, Scope
from runctl.policy.budget_ledger import MICRODOLLAR, as_of
from runctl.policy.budget_periods import period_end
from runctl.policy.cost import usd

LARGEST_USD: Final = Decimal(10) ** 9
"""More than anybody spends on training: an amount above it is a slip."""

_NAME: Final = re.compile(r"[^\s#:](?:[^\n\r\t#:]{0,126}[^\s#:])?")


def scope_named(text: str, *, project: str, user: str) -> Scope:
    """Read `account`, `project`, `project:vision`, `user:ada`; without a name the asker's own. Raises UsageError."""
    word, colon, name = text.partition(":")
    kinds = {kind.value: kind for kind in BudgetScope}
    if word not in kinds:
        raise UsageError(
            f"There is no budget of {text!r}.", hint="Write account, project, project:NAME, user or user:NAME."
        )
    kind = kinds[word]
    if kind is BudgetScope.RUN:
        raise UsageError(
            "The budget of one run is its --max-cost.", hint="Give it with: runctl train --max-cost USD, or resume."
        )
    if kind is BudgetScope.ACCOUNT:
        if colon:
            raise UsageError("The account has no name in a budget.", hint="Write: account")
        return Scope(kind=kind)
    chosen = name if colon else {BudgetScope.PROJECT: project, BudgetScope.USER: user}[kind]
    if not _NAME.fullmatch(chosen):
        raise UsageError(f"{chosen!r} is not the name of a {kind.value}.", hint=f"Write for example: {kind.value}:NAME")
    return Scope(kind=kind, name=chosen)


def refuse_amount(amount: Decimal) -> None:
    """Raise UsageError for an amount that no budget can have."""
    if not amount.is_finite() or not 0 < amount <= LARGEST_USD:
        raise UsageError(
            f"A budget is more than $0 and at most ${LARGEST_USD:,.0f}.", hint="Write for example: --usd 100"
        )
    if amount % MICRODOLLAR:
        raise UsageError("A budget has at most six decimal places.", hint="Write for example: --usd 0.50")


def refuse_overdrawn(ledger: Ledger, period: BudgetPeriod, budget: Budget, now: datetime) -> None:
    """Raise UsageError for a budget that open runs would go beyond. One that is spent, and has no open run, may be set:
    nothing is admitted until its period ends."""
    current = as_of(ledger, now)
    sums = current.periods[period]
    if not budget.limits or current.reserved_usd <= 0 or budget.amount_usd >= sums.committed_usd:
        return
    raise UsageError(
        f"{usd(budget.amount_usd)} is less than what {ledger.scope} has given away: {usd(sums.spent_usd)} is spent and "
        f"{usd(current.reserved_usd)} reserved for open runs. Nothing was changed.",
        hint=f"Set at least --usd {_plain(sums.committed_usd)}, or end runs first (runctl ps --all-users).",
    )


def room_usd(ledger: Ledger, period: BudgetPeriod, now: datetime) -> Decimal | None:
    """What a budget has left; None where none is set."""
    budget = ledger.budgets.get(period)
    if budget is None:
        return None
    return max(Decimal(0), budget.amount_usd - as_of(ledger, now).periods[period].committed_usd)


def ends_at(period: BudgetPeriod, now: datetime) -> str | None:
    """When the period ends, as text; None for `total`."""
    end = period_end(period, now)
    return None if end is None else iso(end)


def _plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
