"""What a change makes of a ledger. The table does the same in one conditional write; the contract suite compares."""

from decimal import Decimal

from runctl.model.budget import Budget, BudgetPeriod, Ledger, LedgerChange, PeriodSums


def applied(stored: Ledger | None, change: LedgerChange) -> Ledger | None:
    """The ledger after a change; None when the change's conditions do not hold."""
    if stored is None:
        return _changed(Ledger(scope=change.scope, periods=_fresh(change)), change) if change.is_new else None
    if change.is_new or any(stored.periods[p].start != start for p, start in change.starts_before.items()):
        return None
    if change.budgets_version is not None and change.budgets_version != stored.budgets_version:
        return None
    for period, at_most in change.at_most_usd.items():
        same = change.starts[period] == stored.periods[period].start
        committed = stored.periods[period].committed_usd if same else stored.reserved_usd
        if committed > at_most:
            return None
    return _changed(stored, change)


def starts_telling_anew(ledger: Ledger, period: BudgetPeriod, budget: Budget) -> bool:
    """Whether people are told again at each threshold: of another amount they know nothing yet."""
    before = ledger.budgets.get(period)
    return before is not None and before.amount_usd != budget.amount_usd


def _fresh(change: LedgerChange) -> dict[BudgetPeriod, PeriodSums]:
    return {period: PeriodSums(start=start) for period, start in change.starts.items()}


def _changed(ledger: Ledger, change: LedgerChange) -> Ledger:
    reserved = ledger.reserved_usd + change.reserved_delta_usd
    periods: dict[BudgetPeriod, PeriodSums] = {}
    for period, start in change.starts.items():
        sums, spent = ledger.periods[period], change.spent_delta_usd.get(period, Decimal(0))
        if sums.start == start:
            committed = sums.committed_usd + change.reserved_delta_usd + spent
            periods[period] = sums.model_copy(update={"spent_usd": sums.spent_usd + spent, "committed_usd": committed})
        else:
            periods[period] = PeriodSums(start=start, spent_usd=spent, committed_usd=reserved + spent)
    return ledger.model_copy(update={"reserved_usd": reserved, "periods": periods})
