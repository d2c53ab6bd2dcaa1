"""`runctl resources list`, `summary` and `cost`."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from runctl_cli.invocation import Invocation
from runctl_cli.machine_text import total_text
from runctl_cli.root import Verb
from runctl_cli.tables import table_lines
from runctl_cli.values import duration_text, usd_text

if TYPE_CHECKING:
    from runctl.client.money import Resource


@click.command("list", cls=Verb, epilog="\b\nExamples:\n  runctl resources list\n")
@click.pass_obj
def list_resources(invocation: Invocation) -> None:
    """List the machines that are paid for.

    Every machine of this account and Region with runctl's tag that has not ended, whoever launched it, with its state,
    price, uptime, addresses and cost so far.
    """
    head = ("MACHINE", "STATE", "TYPE", "ZONE", "OPTION", "RUN", "UP", "$/H", "COST", "PUBLIC", "PRIVATE")

    def row(each: "Resource", now: datetime) -> tuple[str, ...]:
        view = each.machine
        return (
            view.instance_id,
            view.state.value,
            view.instance_type,
            view.availability_zone,
            view.purchase_option.value,
            _run(each),
            duration_text(each.uptime(now)),
            _usd(each.usd_per_hour),
            _usd(each.usd),
            view.public_address,
            view.private_address,
        )

    _answer_table(invocation, head, row)


@click.command("cost", cls=Verb, epilog="\b\nExamples:\n  runctl resources cost\n")
@click.pass_obj
def cost(invocation: Invocation) -> None:
    """Say what each machine has cost so far.

    With its disk and its public address, by the prices in force since its launch.
    """
    head = ("MACHINE", "TYPE", "RUN", "UP", "$/H", "COST")

    def row(each: "Resource", now: datetime) -> tuple[str, ...]:
        view = each.machine
        uptime = duration_text(each.uptime(now))
        return (view.instance_id, view.instance_type, _run(each), uptime, _usd(each.usd_per_hour), _usd(each.usd))

    _answer_table(invocation, head, row)


@click.command("summary", cls=Verb, epilog="\b\nExamples:\n  runctl resources summary\n")
@click.pass_obj
def summary(invocation: Invocation) -> None:
    """Count the machines that are paid for, and say what they cost together."""
    from runctl.client.money import summary_document

    found = invocation.client.resources()
    told = summary_document(found, invocation.client.figures())

    def text() -> None:
        click.echo(f"Machines   {told['machines']}, {told['without_run']} of them without a run")
        for kind, count in told["by_type"].items():
            click.echo(f"           {count} {kind}")
        click.echo(f"Addresses  {told['public_addresses']} public")
        unknown = f", {told['unpriced']} at a price that is not known" if told["unpriced"] else ""
        spent, hourly = (usd_text(Decimal(str(told[name]))) for name in ("cost_usd", "usd_per_hour"))
        click.echo(f"Cost       {spent} so far, {hourly} an hour{unknown}")
        if told["month_usd"] is not None:
            month, more = (usd_text(Decimal(str(told[name]))) for name in ("month_usd", "forecast_usd"))
            click.echo(f"Month      {month} so far; open runs may cost {more} more until their limits")

    invocation.answer(told, text)


def _answer_table(invocation: Invocation, head: tuple[str, ...], row: object) -> None:
    from collections.abc import Callable
    from typing import cast

    from runctl.client.money import resource_document

    now = datetime.now(UTC)
    found = invocation.client.resources()
    of = cast("Callable[[Resource, datetime], tuple[str, ...]]", row)

    def text() -> None:
        if not found:
            invocation.say("No machine with runctl's tag runs in this account and Region.")
            return
        for line in table_lines(head, [of(each, now) for each in found]):
            click.echo(line)
        click.echo(total_text(found))

    invocation.answer({"resources": [resource_document(each, now) for each in found]}, text)


def _run(resource: "Resource") -> str:
    from runctl.model.names import Tag

    run = resource.machine.tags.get(Tag.RUN, "")
    return run if resource.has_run else f"none (tag: {run or 'empty'})"


def _usd(amount: Decimal | None) -> str:
    return "" if amount is None else usd_text(amount)
