"""`runctl budget show` and `list`."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from runctl_cli.invocation import Invocation
from runctl_cli.root import Verb
from runctl_cli.tables import table_lines

if TYPE_CHECKING:
    from runctl.model.budget import Ledger


@click.command(cls=Verb, epilog="\b\nExamples:\n  runctl budget show project:vision\n  runctl budget show account\n")
@click.argument("scope", metavar="SCOPE[:NAME]")
@click.pass_obj
def show(invocation: Invocation, scope: str) -> None:
    """Say what is spent, reserved and left.

    SCOPE is account, project or user; without a NAME it is this project, or you.
    """
    budgets = invocation.client.budgets
    answer_ledger(invocation, budgets.show(budgets.scope(scope)))


@click.command("list", cls=Verb, epilog="\b\nExamples:\n  runctl budget list\n  runctl budget list --output json\n")
@click.pass_obj
def list_budgets(invocation: Invocation) -> None:
    """List the budgets that are set."""
    budgets = invocation.client.budgets
    found = budgets.all()

    def text() -> None:
        if not found:
            invocation.say("No budget is set.")
            invocation.say_next(("runctl budget set project --period month --usd 100", "set one"))
            return
        _print(found, only_budgets=True)

    invocation.answer({"ledgers": [budgets.document(ledger) for ledger in found]}, text)


def answer_ledger(invocation: Invocation, ledger: "Ledger") -> None:
    """Answer with one scope's budgets, and its sums where none is set."""
    invocation.answer(invocation.client.budgets.document(ledger), lambda: _print((ledger,), only_budgets=False))


def _print(ledgers: "Iterable[Ledger]", *, only_budgets: bool) -> None:
    rows = [row for ledger in ledgers for row in _rows(ledger, only_budgets=only_budgets)]
    for line in table_lines(("SCOPE", "PERIOD", "BUDGET", "SPENT", "RESERVED", "LEFT", "ACTION", "TOLD AT"), rows):
        click.echo(line)


def _rows(ledger: "Ledger", *, only_budgets: bool) -> Iterator[tuple[str, ...]]:
    from runctl.model.budget import BudgetPeriod
    from runctl_cli.values import usd_text

    for period in BudgetPeriod:
        sums = ledger.periods[period]
        budget = ledger.budgets.get(period)
        if budget is None and only_budgets:
            continue
        yield (
            str(ledger.scope).removeprefix("the "),
            period.value,
            "" if budget is None else usd_text(budget.amount_usd),
            usd_text(sums.spent_usd),
            usd_text(ledger.reserved_usd),
            "" if budget is None else usd_text(max(Decimal(0), budget.amount_usd - sums.committed_usd)),
            "" if budget is None else budget.action.value,
            "" if budget is None else ", ".join(f"{percent} %" for percent in budget.thresholds),
        )
