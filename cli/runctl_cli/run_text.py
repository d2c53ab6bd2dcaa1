"""A run as people read it: how it stands, why, and what is useful next."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from runctl.model.status import Reason, RunStatus
from runctl_cli.invocation import Invocation
from runctl_cli.tables import table_lines
from runctl_cli.values import duration_text, usd_text, utc_text

if TYPE_CHECKING:
    from runctl.model.attempt import Attempt
    from runctl.model.run import Run

_BEGINS_WITHIN = timedelta(minutes=2)
"""An execution admits its run within seconds of its start; cold functions and throttles are allowed for."""

_REFUSALS_SHOWN = 4
"""Of what AWS refused; `runctl events` has all of it."""

_COLOURS = {
    RunStatus.SUCCEEDED: "green",
    RunStatus.FAILED: "red",
    RunStatus.STOPPED: "yellow",
    RunStatus.CANCELLED: "yellow",
}


def status_text(run: "Run") -> str:
    """The status in its colour, and the reason where it says more."""
    text = click.style(run.status.value, fg=_COLOURS.get(run.status, "cyan"), bold=True)
    says_more = run.reason is not None and run.reason is not Reason.COMPLETED and run.reason.value != run.status.value
    return f"{text} ({run.reason.value})" if run.reason is not None and says_more else text


def age_text(moment: datetime) -> str:
    """How long ago something was."""
    return f"{duration_text(datetime.now(UTC) - moment)} ago"


def print_run(invocation: Invocation, run: "Run", attempts: "Sequence[Attempt]") -> None:
    """Print the whole of a run to stdout, and what is useful next to stderr."""
    click.echo(f"{run.run_id}  {run.name}  {status_text(run)}")
    if run.message:
        click.echo(run.message)
    waited = datetime.now(UTC) - run.created_at
    if run.status is RunStatus.PENDING and waited > _BEGINS_WITHIN:
        click.echo(
            f"It has not begun for {duration_text(waited)}: the command that submitted it may have been ended before "
            "its execution was started. Submit it again; this one is concluded by the controller's clean-up."
        )
    click.echo()
    for name, value in _facts(invocation, run, attempts):
        click.echo(f"{name:<11} {value}")
    if attempts:
        click.echo()
        head = (
            "ATTEMPT",
            "MACHINE",
            "TYPE",
            "ZONE",
            "OPTION",
            "STARTED (UTC)",
            "LASTED",
            "ENDED AS",
            "EXIT",
            "FROM STEP",
        )
        for line in table_lines(head, [_attempt_row(attempt) for attempt in attempts]):
            click.echo(line)
        for attempt in attempts:
            if attempt.evidence:
                click.echo(f"{attempt.number}: {attempt.evidence}")
    say_useful(invocation, run)


def say_useful(invocation: Invocation, run: "Run") -> None:
    """Name the commands that make sense for a run as it stands."""
    lines = [(f"runctl logs {run.run_id}" + ("" if run.status.is_terminal else " -f"), "what it prints")]
    lines.append((f"runctl events {run.run_id}", "what happened to it"))
    if run.status.is_terminal and run.checkpoint is not None:
        lines.append((f"runctl download {run.run_id}", "fetch its newest checkpoint and its outputs"))
        if run.status is not RunStatus.SUCCEEDED:
            lines.append((f"runctl resume {run.run_id}", "go on from its newest checkpoint"))
    if not run.status.is_terminal:
        lines.append((f"runctl cancel {run.run_id}", "let it save, then end it"))
    invocation.say_next(*lines)


def _facts(invocation: Invocation, run: "Run", attempts: "Sequence[Attempt]") -> list[tuple[str, str]]:
    from runctl.policy.cost import run_cost

    now = datetime.now(UTC)
    spec = run.spec
    lasted = duration_text((run.ended_at or now) - run.created_at)
    facts = [
        ("Command" if spec.command else "Script", " ".join([spec.label, shlex.join(spec.args)]).strip()),
        ("Machine", f"{' or '.join(spec.instance_types)}, {spec.purchase_option.value}"),
        ("Submitted", f"{utc_text(run.created_at)} by {run.user}; {'took' if run.ended_at else 'for'} {lasted}"),
    ]
    if run.resumed_from is not None:
        chain = [f"{since.run_id} from {since.name}" for since in invocation.client.chain(run)]
        facts.append(("Resumes", ", which resumed ".join(chain)))
    if run.progress is not None:
        facts.append(("Progress", _progress_text(run)))
    if run.checkpoint is not None:
        step = "" if run.checkpoint.step is None else f", step {run.checkpoint.step}"
        facts.append(("Checkpoint", f"{run.checkpoint.name}{step}, saved {age_text(run.checkpoint.saved_at)}"))
    if run.capacity_wait is not None and run.capacity_wait.next_try_at is not None and not run.status.is_terminal:
        facts.append(("Next try", utc_text(run.capacity_wait.next_try_at)))
        facts.extend(("Refused", refusal) for refusal in run.capacity_wait.refusals[:_REFUSALS_SHOWN])
    cost = run_cost(attempts, now)
    parts = [usd_text(cost.accrued_usd) + ("" if cost.is_complete else " for the machines whose price is known")]
    if run.estimated_usd is not None:
        parts.append(f"estimated at most {usd_text(run.estimated_usd)}")
    if cost.saved_usd:
        parts.append(f"saved {usd_text(cost.saved_usd)} against on-demand")
    facts.append(("Cost", ", ".join(parts)))
    if run.ended_at is not None and run.status is not RunStatus.SUCCEEDED:
        facts.append(("Kept", _kept_text(run, attempts)))
        facts.extend(("Ended", text) for text in _ended_texts(run, attempts))
    url = invocation.client.place.console_url(run.execution_arn)
    if url is not None:
        facts.append(("Console", url))
    return facts


def _kept_text(run: "Run", attempts: "Sequence[Attempt]") -> str:
    """What is left of a run that did not do what it was to do."""
    count = len(attempts)
    logs = f"the log of {count} attempt{'' if count == 1 else 's'}" if attempts else ""
    saved = "no checkpoint" if run.checkpoint is None else f"checkpoint {run.checkpoint.name}"
    return f"{saved}, {logs}" if logs else f"{saved}; nothing was launched"


def _ended_texts(run: "Run", attempts: "Sequence[Attempt]") -> list[str]:
    """What became of its machines."""
    texts: list[str] = []
    for attempt in attempts:
        if attempt.instance_id is None:
            continue
        if attempt.instance_id == run.machine:
            texts.append(f"nothing: the machine {attempt.instance_id} stays, for it was there before")
        else:
            texts.append(f"machine {attempt.instance_id}" + ("" if attempt.gone_at else ", as soon as EC2 says so"))
    return texts


def _progress_text(run: "Run") -> str:
    progress = run.progress
    if progress is None:
        return ""
    step = f"step {progress.step}" if progress.step is not None else "running"
    parts = [step + (f" of {progress.total_steps}" if progress.total_steps is not None else "")]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4g}")
    if progress.throughput is not None:
        parts.append(f"{_rate_text(progress.throughput)}/s")
    return ", ".join(parts) + f", {age_text(progress.at)}"


def _rate_text(rate: float) -> str:
    """Write a rate without an exponent: `0.42`, `12.3`, `654,900`."""
    return f"{rate:.3g}" if rate < 100 else f"{rate:,.0f}"


def _attempt_row(attempt: "Attempt") -> tuple[str, ...]:
    started = attempt.launched_at or attempt.created_at
    return (
        str(attempt.number),
        attempt.instance_id or "",
        attempt.instance_type or "",
        attempt.availability_zone or "",
        "" if attempt.purchase_option is None else attempt.purchase_option.value,
        utc_text(started),
        duration_text((attempt.ended_at or datetime.now(UTC)) - started),
        "" if attempt.reason is None else attempt.reason.value,
        "" if attempt.exit_code is None else str(attempt.exit_code),
        "" if attempt.resumed_from_step is None else str(attempt.resumed_from_step),
    )
