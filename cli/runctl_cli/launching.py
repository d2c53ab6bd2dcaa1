"""What every command that launches something says and asks: what it may cost, what is sent, what is useful next."""

import sys
from typing import TYPE_CHECKING

import click

from runctl_cli.faults import Declined
from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import remember_runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from runctl.client.code_sync import SyncedCode
    from runctl.client.estimate import Estimate
    from runctl.model.run import Run, RunRequest


def confirm_cost(invocation: Invocation, what: str, estimate: "Estimate", *, yes: bool) -> None:
    """Say what a run, or a machine that is kept, may cost; ask above `[confirm] above_usd`, or when no price is known.

    Raises Declined.
    """
    from runctl_cli.values import duration_text, usd_text

    for line in estimate_lines(estimate):
        invocation.say(line)
    total, hourly = estimate.total_usd, estimate.usd_per_hour
    price = (
        "at a price that is not known"
        if hourly is None
        else f"at most {usd_text(hourly)} an hour with disk and address"
    )
    sum_text = "" if total is None else f", {usd_text(total)} in all"
    invocation.say(
        f"{what}, {estimate.purchase_option.value}: {price}, for at most {duration_text(estimate.runtime)}{sum_text}."
    )
    say_if_saving_costs_more(invocation, estimate)
    limit = invocation.configuration.settings.confirm.above_usd
    if yes or (total is not None and total <= limit):
        return
    why = "its price is not known" if total is None else f"it may cost {usd_text(total)}, more than {usd_text(limit)}"
    if not sys.stdin.isatty():
        raise Declined(
            f"Nothing was launched: {why}, and there is no terminal to ask.",
            hint="Launch it anyway with --yes, or lower --max-runtime or --max-cost.",
        )
    if not click.confirm(f"Launch it although {why}?", err=True):
        raise Declined("Nothing was launched.", hint="Lower --max-runtime or --max-cost, or choose another type.")


def say_if_saving_costs_more(invocation: Invocation, estimate: "Estimate") -> None:
    """Say that a limit is so small that the run may cost more."""
    from runctl_cli.values import usd_text

    least = estimate.least_limit_usd
    if least is not None and estimate.limit_usd is not None:
        invocation.say(
            f"Note: {usd_text(estimate.limit_usd)} may be exceeded: it does not pay for the six minutes in which a "
            f"training may save at the limit. With --max-cost {least} nothing is spent beyond it at steady prices."
        )


def what_and_where(request: "RunRequest") -> str:
    """What a run executes, and on which types."""
    return f"{request.label} on {' or '.join(request.instance_types)}"


def estimate_lines(estimate: "Estimate") -> list[str]:
    """The pools in the order in which they are tried, and what each would cost."""
    from runctl_cli.tables import table_lines
    from runctl_cli.values import duration_text, usd_text

    def money(amount: "Decimal | None") -> str:
        return "" if amount is None else usd_text(amount)

    head = ("TYPE", "ZONE", "OPTION", "$/H", f"IN {duration_text(estimate.runtime).upper()}", "SAVED")
    rows = [
        (
            row.pool.instance_type,
            row.pool.availability_zone or "any",
            row.pool.purchase_option.value,
            money(row.usd_per_hour),
            money(row.total_usd),
            money(row.saved_usd) if row.saved_usd else "",
        )
        for row in estimate.table
    ]
    lines = table_lines(head, rows)
    if estimate.rests_on_bundled:
        lines.append(BUNDLED_NOTE)
    return lines


BUNDLED_NOTE = (
    "Note: AWS did not tell every on-demand price; those come from the table of this version of runctl and may be old."
)


def sending(invocation: Invocation) -> "tuple[Callable[[SyncedCode], None], Callable[[int, int], None]]":
    """What is to be told of the project's way to the bucket: at its end, and of bytes meanwhile."""
    progress = invocation.progress("Sending the project")

    def sent(synced: "SyncedCode") -> None:
        progress.end()
        invocation.say(synced_text(synced))

    return sent, progress.add


def synced_text(synced: "SyncedCode") -> str:
    """Say what was moved, and of how much."""
    from runctl_cli.values import bytes_text

    files = "1 file" if synced.files == 1 else f"{synced.files} files"
    whole = f"{files}, {bytes_text(synced.bytes)}"
    if not synced.was_sent:
        return f"Project unchanged: {whole}; nothing was sent."
    changed = "" if synced.sent_files == synced.files else f" ({synced.sent_files} changed)"
    return f"Sent the project: {whole}{changed}; {bytes_text(synced.sent_bytes)} were sent."


def answer_launched(invocation: Invocation, run: "Run", *, wait: bool) -> None:
    """Answer with the run, or wait for its end and answer with its result."""
    remember_runs([run])
    if wait:
        from runctl_cli.waiting import wait_and_answer

        wait_and_answer(invocation, run)
        return

    def text() -> None:
        click.echo(run.run_id)
        invocation.say(f"The run is called {run.name}.")
        invocation.say_next(
            (f"runctl status {run.run_id}", "how it stands"),
            (f"runctl logs {run.run_id} -f", "follow what it prints"),
            (f"runctl cancel {run.run_id}", "let it save, then end it"),
        )

    invocation.answer(invocation.client.document(run), text)
