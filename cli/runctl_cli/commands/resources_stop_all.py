"""`runctl resources stop-all`."""

import sys
from typing import TYPE_CHECKING, Any

import click

from runctl_cli.faults import Declined
from runctl_cli.invocation import Invocation
from runctl_cli.root import Verb

if TYPE_CHECKING:
    from runctl.client.tidying import AllStops

EXAMPLES = """\b
Examples:
  runctl resources stop-all --dry-run
  runctl resources stop-all
  runctl resources stop-all --all-users --yes
"""


@click.command("stop-all", cls=Verb, epilog=EXAMPLES)
@click.option("--all-users", "-a", is_flag=True, help="Not only what is yours.")
@click.option("--dry-run", is_flag=True, help="Only say what would be stopped.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def stop_all(invocation: Invocation, all_users: bool, dry_run: bool, yes: bool) -> None:
    """Let all runs save and end, and stop machines that are kept.

    Of every project, yours alone unless --all-users. Each run is asked to save, as runctl cancel does; its machine
    ends. Kept machines on which nothing trains are stopped; their disks stay. Asks first.
    """
    tidying = invocation.client.tidying
    plan = tidying.plan_stop(all_users=all_users)
    for line in _lines(plan):
        invocation.say(line)
    if not plan.runs and not plan.machines:
        invocation.answer(_document(dry_run), lambda: invocation.say("There is nothing to stop."))
        return
    if dry_run:
        planned = _document(True, [run.run_id for run in plan.runs], [each.instance_id for each in plan.machines])
        invocation.answer(planned, lambda: invocation.say_next(("runctl resources stop-all --yes", "stop them")))
        return
    if not yes:
        _ask(plan)
    done = tidying.stop(plan)

    def text() -> None:
        for answer in done.answers:
            click.echo(f"{answer.run_id}  {answer.status.value}")
            invocation.say(answer.message)
        for machine in done.machines:
            click.echo(f"{machine.instance_id} stops; its disk is still paid for.")
        invocation.say_next(
            ("runctl ps --all-users", "how the runs stand"), ("runctl resources list", "the machines that are paid for")
        )

    invocation.answer(
        _document(False, [each.run_id for each in done.answers], [each.instance_id for each in done.machines]),
        text,
        errors=done.faults,
        exit_code=done.faults[0].exit_code if done.faults else 0,
    )


def _document(dry_run: bool, runs: "list[Any] | None" = None, machines: "list[Any] | None" = None) -> dict[str, Any]:
    return {"dry_run": dry_run, "runs": runs or [], "machines": machines or []}


def _lines(plan: "AllStops") -> list[str]:
    runs = [f"  run {run.run_id} ({run.name}) of {run.user} saves and ends" for run in plan.runs]
    stops = [
        f"  machine {each.instance_id} ({each.view.instance_type}) of {each.owner} stops" for each in plan.machines
    ]
    left = [
        f"  machine {each.instance_id} of {each.owner} goes on: "
        + (
            f"run {each.busy_with} trains on it"
            if each.busy_with
            else "EC2 stops no spot machine; runctl aws terminate"
        )
        for each in plan.left
    ]
    return [*runs, *stops, *left]


def _ask(plan: "AllStops") -> None:
    count = f"{len(plan.runs)} run{'' if len(plan.runs) == 1 else 's'}"
    machines = f"{len(plan.machines)} machine{'' if len(plan.machines) == 1 else 's'}"
    if not sys.stdin.isatty():
        raise Declined(
            f"Nothing was stopped of {count} and {machines}: there is no terminal to ask.",
            hint="Stop them anyway with: runctl resources stop-all --yes",
        )
    if not click.confirm(f"Stop {count} and {machines}?", err=True):
        raise Declined("Nothing was stopped.", hint="End a single run with: runctl cancel RUN")
