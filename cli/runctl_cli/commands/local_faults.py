"""`runctl local interrupt | kill | no-capacity`: faults on request."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from runctl.errors import NotFoundError
from runctl_cli.invocation import Invocation
from runctl_cli.parameters import DURATION
from runctl_cli.root import Verb
from runctl_cli.values import duration_text

if TYPE_CHECKING:
    from runctl.model.run import Run

_INSTANCE_PREFIX = "i-"


@click.command(
    cls=Verb, epilog="\b\nExamples:\n  runctl local interrupt last\n  runctl local interrupt r-1hx3k7p --notice 10s"
)
@click.argument("what", metavar="RUN|INSTANCE")
@click.option("--notice", type=DURATION, default="120s", show_default=True, help="Time between warning and end.")
@click.pass_obj
def interrupt(invocation: Invocation, what: str, notice: timedelta) -> None:
    """Take a spot machine back, as EC2 does.

    RUN stands for its current machine.
    """
    instance_id, run = _machine(invocation, what)
    invocation.local_cloud.interrupt(instance_id, notice.total_seconds())

    def text() -> None:
        click.echo(instance_id)
        invocation.say(f"Warned {instance_id}; it ends in {duration_text(notice)}.")
        _say_next(invocation, run)

    invocation.answer({"instance_id": instance_id, "notice_s": notice.total_seconds()}, text)


@click.command(cls=Verb, epilog="\b\nExamples:\n  runctl local kill i-0123456789abcdef0\n  runctl local kill last")
@click.argument("what", metavar="INSTANCE|RUN")
@click.option("--silent", is_flag=True, help="Let EC2 go on to call it running: only its silence tells.")
@click.pass_obj
def kill(invocation: Invocation, what: str, silent: bool) -> None:
    """End a machine at once, as a failed host does."""
    instance_id, run = _machine(invocation, what)
    invocation.local_cloud.kill(instance_id, silent=silent)

    def text() -> None:
        click.echo(instance_id)
        invocation.say(f"Killed {instance_id}.")
        _say_next(invocation, run)

    invocation.answer({"instance_id": instance_id, "silent": silent}, text)


@click.command(
    cls=Verb,
    epilog="\b\nExamples:\n  runctl local no-capacity g5.xlarge\n"
    "  runctl local no-capacity g5.xlarge/us-east-1a/spot 'g6.*' --for 5m",
)
@click.argument("pools", metavar="POOL...", nargs=-1, required=True)
@click.option("--for", "span", type=DURATION, default="60s", show_default=True, help="How long.")
@click.pass_obj
def no_capacity(invocation: Invocation, pools: tuple[str, ...], span: timedelta) -> None:
    """Let capacity pools be empty for a while.

    POOL is TYPE, TYPE/ZONE, or TYPE/ZONE/spot|on-demand; * stands for all in any place.
    """
    invocation.local_cloud.no_capacity(list(pools), span.total_seconds())

    def text() -> None:
        invocation.say(f"No capacity for {duration_text(span)}: {', '.join(pools)}.")

    invocation.answer({"pools": list(pools), "for_s": span.total_seconds()}, text)


def _machine(invocation: Invocation, what: str) -> "tuple[str, Run | None]":
    """Find the machine that is meant, and the run when one was named."""
    if what.startswith(_INSTANCE_PREFIX):
        return what, None
    client = invocation.local_client
    run = client.run(what)
    current = next((attempt for attempt in client.attempts(run.run_id) if attempt.number == run.attempt), None)
    if current is None or current.instance_id is None or not current.owns_live_machine:
        raise NotFoundError(
            f"The run {run.run_id} has no machine now; it is {run.status.value}.",
            hint=f"See: runctl status {run.run_id}",
        )
    return current.instance_id, run


def _say_next(invocation: Invocation, run: "Run | None") -> None:
    if run is not None:
        invocation.say_next(
            (f"runctl events {run.run_id}", "what happens to the run"),
            (f"runctl status {run.run_id}", "how it stands"),
        )
