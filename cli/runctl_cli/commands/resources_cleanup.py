"""`runctl resources cleanup`."""

import sys
from typing import TYPE_CHECKING, Any

import click

from runctl_cli.faults import Declined
from runctl_cli.invocation import Invocation
from runctl_cli.root import Verb

if TYPE_CHECKING:
    from runctl.model.sweep import Sweep

EXAMPLES = """\b
Examples:
  runctl resources cleanup
  runctl resources cleanup --yes
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.option("--dry-run", is_flag=True, help="Only say what would be done. So it is, too, where no terminal can ask.")
@click.option("--yes", "-y", is_flag=True, help="Do it, and do not ask.")
@click.pass_obj
def cleanup(invocation: Invocation, dry_run: bool, yes: bool) -> None:
    """End machines that no run owns, and runs that nothing ends.

    The controller does the same by itself every few minutes, to a machine at its second look. Here your answer stands
    for the first. Machines that are young, kept, or tagged runctl:protected stay. Says first what would be done.
    """
    tidying = invocation.client.tidying
    seen = tidying.sweep(dry_run=True)
    planned = (*seen.deeds, *seen.upcoming)
    if dry_run or not planned or not (yes or sys.stdin.isatty()):
        _answer(invocation, seen)
        return
    if not yes:
        for deed in planned:
            invocation.say(deed.text)
        if not click.confirm("Do this?", err=True):
            raise Declined("Nothing was ended.", hint="See what runs with: runctl resources list")
    done = tidying.sweep(confirmed=[deed.instance_id for deed in planned if deed.instance_id is not None])
    _answer(invocation, done)


def _answer(invocation: Invocation, sweep: "Sweep") -> None:
    deeds = (*sweep.deeds, *sweep.upcoming) if sweep.dry_run else sweep.deeds

    def text() -> None:
        for deed in deeds:
            click.echo(deed.text)
        for fault in sweep.faults:
            invocation.say(f"Note: {fault}")
        if not deeds:
            invocation.say(
                f"Nothing to clean up: {sweep.machines} machine{'' if sweep.machines == 1 else 's'} and {sweep.runs} "
                f"open run{'' if sweep.runs == 1 else 's'} were looked at, and all are in order."
            )
        elif sweep.dry_run:
            invocation.say("Nothing was done yet.")
            invocation.say_next((f"runctl {invocation.command} --yes", "do it"))
        invocation.say_next(("runctl resources list", "the machines that are paid for"))

    data: dict[str, Any] = {
        "dry_run": sweep.dry_run,
        "machines": sweep.machines,
        "runs": sweep.runs,
        "deeds": [deed.model_dump(mode="json") for deed in deeds],
        "faults": list(sweep.faults),
    }
    invocation.answer(data, text)
