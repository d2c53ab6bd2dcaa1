"""Whether a run is admitted, and in which words it is not: for the laptop, which asks before it sends anything, and for
the controller, whose answer counts."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final

from runctl.errors import BudgetExceeded
from runctl.model.budget import Ledger, Refusal, Scope
from runctl.policy.budget_ledger import Ledgers, money, refused
from runctl.policy.budget_sentences import refusal_hint, refusal_text

_NAME_A_LIMIT: Final = "Name the most that it may cost: --max-cost USD"


def budget_exceeded(refusal: Refusal) -> BudgetExceeded:
    """The error that a refusal is."""
    return BudgetExceeded(refusal_text(refusal), hint=f"{refusal_hint(refusal)}.")


def refuse_without_room(scopes: Iterable[Scope], amount_usd: Decimal | None, ledgers: Ledgers, now: datetime) -> None:
    """Raise BudgetExceeded for an amount that has no room in a budget, and under a budget for one that nobody knows."""
    if amount_usd is None:
        refuse_unknown_cost(ledgers.values())
        return
    refusal = refused(scopes, money(amount_usd), ledgers, now)
    if refusal is not None:
        raise budget_exceeded(refusal)


def refuse_unknown_cost(ledgers: Iterable[Ledger | None]) -> None:
    """Raise BudgetExceeded when one of these ledgers has a budget that limits."""
    for ledger in ledgers:
        if ledger is not None and any(budget.limits for budget in ledger.budgets.values()):
            raise BudgetExceeded(
                f"Nobody knows what this run costs, and {ledger.scope} has a budget.", hint=f"{_NAME_A_LIMIT}."
            )
