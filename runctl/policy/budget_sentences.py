"""What people read of budgets."""

from runctl.model.base import iso
from runctl.model.budget import BudgetPeriod, Refusal
from runctl.policy.cost import usd

_PERIODS = {
    BudgetPeriod.DAY: "a day",
    BudgetPeriod.WEEK: "a week",
    BudgetPeriod.MONTH: "a month",
    BudgetPeriod.TOTAL: "in all",
}


def budget_name(scope: object, period: BudgetPeriod, amount: object) -> str:
    """Name a budget: `The budget of project vision, $50.00 a month`."""
    return f"The budget of {scope}, {amount} {_PERIODS[period]}"


def refusal_text(refusal: Refusal) -> str:
    """Say which budget has no room, and what fills it."""
    name = budget_name(refusal.scope, refusal.period, usd(refusal.amount_usd))
    return (
        f"{name}, has no room for {usd(refusal.asked_usd)}: {usd(refusal.spent_usd)} is spent "
        f"and {usd(refusal.reserved_usd)} reserved for open runs."
    )


def refusal_hint(refusal: Refusal) -> str:
    """Say how to go on."""
    room = refusal.amount_usd - refusal.spent_usd - refusal.reserved_usd
    ways: list[str] = []
    if room > 0:
        ways.append(f"ask for less: --max-cost {room.normalize():f}")
    if refusal.begins_again_at is not None:
        ways.append(f"wait for {iso(refusal.begins_again_at)[:10]}, when the {refusal.period.value} begins again")
    if refusal.reserved_usd > 0:
        ways.append("wait for open runs to end (runctl ps)")
    ways.append("let the budget be raised")
    text = "; ".join(ways)
    return f"{text[:1].upper()}{text[1:]}"
