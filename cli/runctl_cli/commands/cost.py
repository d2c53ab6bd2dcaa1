"""`runctl cost`."""

from datetime import timedelta

import click

from runctl_cli.invocation import Invocation
from runctl_cli.parameters import DURATION
from runctl_cli.root import Verb

DIGEST = "digest"

EXAMPLES = """\b
Examples:
  runctl cost last
  runctl cost --since 30d --by user
  runctl cost digest --since 7d
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("run_name", metavar="[RUN|digest]", required=False)
@click.option(
    "--since", type=DURATION, default="7d", show_default=True, metavar="DURATION", help="Whole days back from today."
)
@click.option(
    "--by", type=click.Choice(["project", "user", "type"]), default="project", show_default=True, help="Add up by this."
)
@click.pass_obj
def cost(invocation: Invocation, run_name: str | None, since: timedelta, by: str) -> None:
    """Say what runs cost.

    With RUN: that run's machines, one by one. Without: what was spent, by the day on which machines ended, and what
    runs now. "digest" is the report that is sent daily and weekly, for the time you ask for.
    """
    if run_name is None or run_name == DIGEST:
        _report(invocation, since, by, is_digest=run_name == DIGEST)
    else:
        _of_run(invocation, run_name)


def _of_run(invocation: Invocation, run_name: str) -> None:
    from runctl_cli.launching import BUNDLED_NOTE
    from runctl_cli.tables import table_lines

    client = invocation.client
    run = client.run(run_name)
    found = client.costs_of(run)

    def text() -> None:
        head = ("ATTEMPT", "TYPE", "ZONE", "OPTION", "MACHINE", "DISK AND ADDRESS", "COST", "")
        rows = [
            (
                str(each["attempt"]),
                each["instance_type"] or "",
                each["availability_zone"] or "",
                each["purchase_option"] or "",
                _usd(each["machine_usd"]),
                _usd(each["disk_and_address_usd"]),
                _usd(each["cost_usd"]),
                _remark(each),
            )
            for each in found["machines"]
        ]
        for line in table_lines(head, rows):
            click.echo(line)
        parts = [f"{_usd(found['accrued_usd'])} in all"]
        if found["estimated_usd"] is not None:
            parts.append(f"estimated at most {_usd(found['estimated_usd'])}")
        if found["saved_usd"]:
            parts.append(f"saved {_usd(found['saved_usd'])} against on-demand")
        if found["recomputed_usd"]:
            parts.append(f"{_usd(found['recomputed_usd'])} for work done again after interruptions")
        click.echo(", ".join(parts) + ("." if found["is_settled"] else "; not final yet."))
        if found["rests_on_bundled_prices"]:
            click.echo(BUNDLED_NOTE)

    invocation.answer(found, text)


def _remark(machine: dict[str, object]) -> str:
    if machine["is_free"]:
        return "free: taken back within an hour"
    return "" if machine["is_settled"] else "not final"


def _report(invocation: Invocation, since: timedelta, by: str, *, is_digest: bool) -> None:
    from runctl.client.money import report_document
    from runctl.policy.reports import GroupBy, report_text
    from runctl_cli.tables import table_lines

    told, unsettled = invocation.client.report(max(1, since.days)), invocation.client.unsettled()

    def text() -> None:
        if is_digest:
            click.echo(report_text(told))
            return
        rows = [
            (name, str(len(sums.runs)), *map(_usd, (sums.usd, sums.saved_usd, sums.recomputed_usd)))
            for name, sums in told.groups(GroupBy(by)).items()
        ]
        for line in table_lines((by.upper(), "RUNS", "SPENT", "SAVED", "RECOMPUTED"), rows) if rows else ():
            click.echo(line)
        click.echo(f"{_usd(told.total.usd)} spent since {told.first} (UTC) on machines that have ended.")
        if unsettled.machines:
            click.echo(
                f"{_usd(unsettled.usd)} more so far on {unsettled.machines} that run, or ended in the last minutes."
                + (f" The price of {unsettled.unpriced} is not known." if unsettled.unpriced else "")
            )
        if told.now is not None and told.now.runs:
            hourly = _usd(told.now.usd_per_hour)
            click.echo(f"{len(told.now.runs)} open runs cost {hourly} an hour, {_usd(told.now.forecast_usd)} at most.")

    invocation.answer(report_document(told, unsettled), text)


def _usd(amount: object) -> str:
    from decimal import Decimal

    from runctl_cli.values import usd_text

    return "" if amount is None else usd_text(Decimal(str(amount)))
