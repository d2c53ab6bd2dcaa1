"""`runctl budget set` and `delete`."""

from decimal import Decimal

import click

from runctl_cli.commands.budget_shown import answer_ledger
from runctl_cli.invocation import Invocation
from runctl_cli.parameters import PERCENTAGES, USD
from runctl_cli.root import Verb

PERIODS = ("day", "week", "month", "total")

EXAMPLES = """\b
Examples:
  runctl budget set account --period month --usd 1000 --action stop-all
  runctl budget set project:vision --period week --usd 100
  runctl budget set user:ada --period day --usd 20 --thresholds 80,100
"""


@click.command("set", cls=Verb, epilog=EXAMPLES)
@click.argument("scope", metavar="SCOPE[:NAME]")
@click.option("--period", type=click.Choice(PERIODS), required=True, help="How long the amount must last, in UTC.")
@click.option("--usd", type=USD, required=True, metavar="USD", help="The amount.")
@click.option(
    "--thresholds",
    type=PERCENTAGES,
    metavar="PERCENT,…",
    help="People are told at these percentages.  [default: 50,80,100]",
)
@click.option(
    "--action",
    type=click.Choice(["notify", "stop-new", "stop-all"]),
    help="At its end: tell, admit no run, or stop all runs too.  [default: stop-new]",
)
@click.pass_obj
def set_budget(
    invocation: Invocation,
    scope: str,
    period: str,
    usd: Decimal,
    thresholds: tuple[int, ...] | None,
    action: str | None,
) -> None:
    """Set how much may be spent.

    SCOPE is account, project or user; without a NAME it is this project, or you. One budget each period; setting it
    again changes it, and keeps thresholds and action that are not given. Weeks begin on Monday.
    """
    from runctl.model.budget import BudgetAction, BudgetPeriod

    budgets = invocation.client.budgets
    ledger = budgets.set(
        budgets.scope(scope),
        BudgetPeriod(period),
        usd,
        thresholds=thresholds,
        action=None if action is None else BudgetAction(action),
    )
    answer_ledger(invocation, ledger)


@click.command(cls=Verb, epilog="\b\nExamples:\n  runctl budget delete project:vision --period month\n")
@click.argument("scope", metavar="SCOPE[:NAME]")
@click.option("--period", type=click.Choice(PERIODS), required=True, help="Which of its budgets.")
@click.pass_obj
def delete(invocation: Invocation, scope: str, period: str) -> None:
    """Take a budget away.

    What was spent and is reserved stays known.
    """
    from runctl.model.budget import BudgetPeriod

    budgets = invocation.client.budgets
    chosen = budgets.scope(scope)
    ledger = budgets.delete(chosen, BudgetPeriod(period))
    invocation.answer(
        budgets.document(ledger), lambda: click.echo(f"No budget limits {chosen} by {_NAMES[period]} any more.")
    )


_NAMES = {"day": "the day", "week": "the week", "month": "the month", "total": "its total"}
