"""`runctl aws monitor`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from runctl.errors import MachineNotReady, NotFoundError
from runctl_cli.invocation import Invocation
from runctl_cli.output import OutputFormat
from runctl_cli.root import Verb

if TYPE_CHECKING:
    from runctl.model.run import Run

EXAMPLES = """\b
Examples:
  runctl aws monitor i-0abc1234def567890
  runctl aws monitor i-0abc1234def567890 --wait
  runctl aws monitor i-0abc1234def567890 --list
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("instance_id", metavar="INSTANCE")
@click.option("--list", "lists", is_flag=True, help="Only name the runs on it, newest first.")
@click.option("--wait", is_flag=True, help="Wait until SSM answers for the machine, if it does not yet.")
@click.pass_obj
def monitor(invocation: Invocation, instance_id: str, lists: bool, wait: bool) -> None:
    """Print what trains on a machine, and follow it.

    The log of its newest run, to the run's end. Logs of earlier runs are kept: name them with --list.
    """
    client = invocation.client
    machine = client.machines.wait(instance_id, online=True) if wait else client.machines.find(instance_id)
    runs = [] if machine.last_run is None else list(_newest_first(invocation, machine.last_run, instance_id))
    if lists:
        _list(invocation, instance_id, runs)
        return
    if machine.busy_with is None and not machine.view.state.is_going and machine.last_run == machine.run:
        if not client.machines.is_online(machine.instance_id):
            raise MachineNotReady(
                f"SSM does not answer for {instance_id} yet; it does one to three minutes after a launch.",
                hint=f"Wait for it with: runctl aws wait-ssm {instance_id}, or here with --wait.",
            )
        raise NotFoundError(
            f"Nothing has trained on {instance_id} yet.", hint=f"Train on it: runctl aws train {instance_id} SCRIPT"
        )
    if not runs:
        raise NotFoundError(f"No run is known on {instance_id}.", hint="List runs with: runctl ps --all-users")
    from runctl_cli.commands.logs import print_log

    print_log(invocation, runs[0], follow=True)


def _newest_first(invocation: Invocation, newest: "Run", instance_id: str) -> "Iterator[Run]":
    """Runs of the project that were for this machine, and the one that launched it."""
    yield newest
    for run in invocation.client.runs(1_000):
        if run.run_id != newest.run_id and run.machine == instance_id:
            yield run


def _list(invocation: Invocation, instance_id: str, runs: "list[Run]") -> None:
    from runctl.client.documents import listed_document
    from runctl_cli.tables import table_lines

    def text() -> None:
        rows = [(run.run_id, run.name, run.status.value, f"runctl logs {run.run_id}") for run in runs]
        for line in table_lines(("RUN", "NAME", "STATUS", "LOG"), rows):
            click.echo(line)

    invocation.answer({"instance_id": instance_id, "runs": [listed_document(run) for run in runs]}, text)
    if invocation.output is OutputFormat.TEXT and not runs:
        invocation.say(f"No run is known on {instance_id}.")
