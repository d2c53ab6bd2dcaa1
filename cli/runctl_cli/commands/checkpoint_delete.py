"""`runctl checkpoint delete`."""

import sys
from typing import TYPE_CHECKING

import click

from runctl.errors import UsageError
from runctl_cli.faults import Declined
from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import complete_runs
from runctl_cli.root import Verb
from runctl_cli.values import bytes_text

if TYPE_CHECKING:
    from runctl.client.tidying import Deletion

EXAMPLES = """\b
Examples:
  runctl checkpoint delete last step-400.npz
  runctl checkpoint delete r-1hx3k7p --keep 1
  runctl checkpoint delete r-1hx3k7p --keep 0 --yes
"""


@click.command("delete", cls=Verb, epilog=EXAMPLES)
@click.argument("run_name", metavar="RUN", shell_complete=complete_runs)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--keep", type=click.IntRange(min=0), metavar="N", help="Delete all but the N newest.")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(
    invocation: Invocation, run_name: str, names: tuple[str, ...], keep: int | None, dry_run: bool, yes: bool
) -> None:
    """Delete checkpoints of an ended run.

    Those of these names, or with --keep all but the newest. RUN is an id, the beginning of one, or "last"; of somebody
    else's run the whole id. Files that another checkpoint needs stay. Asks first; nothing brings them back.
    """
    if bool(names) == (keep is not None):
        raise UsageError(
            "Say which checkpoints: their names, or --keep N.", hint="See them with: runctl checkpoint list last"
        )
    client = invocation.client
    run = client.run(run_name)
    if run.user != client.user and run_name != run.run_id:
        raise Declined(
            f"Run {run.run_id} ({run.name}) is {run.user}'s, not yours; nothing was deleted.",
            hint=f"Name it by its whole id: runctl checkpoint delete {run.run_id} ...",
        )
    plan = client.tidying.plan_deletion(run, names, keep=keep)
    if not dry_run and plan.checkpoints:
        if not yes:
            _ask(plan)
        client.tidying.delete(plan)

    def text() -> None:
        for each in plan.checkpoints:
            click.echo(each.name)
        verb = "would be freed" if dry_run else "were freed"
        invocation.say(f"{bytes_text(plan.freed_bytes)} {verb}; {_left(plan)}.")
        invocation.say_next((f"runctl checkpoint list {run.run_id}", "what is left"))

    data = {
        "run_id": run.run_id,
        "dry_run": dry_run,
        "deleted": [each.name for each in plan.checkpoints],
        "left": [each.name for each in plan.left],
        "freed_bytes": plan.freed_bytes,
    }
    invocation.answer(data, text)


def _left(plan: "Deletion") -> str:
    count = len(plan.left)
    return f"{count} checkpoint{'' if count == 1 else 's'} left" if count else "none is left to resume from"


def _ask(plan: "Deletion") -> None:
    names = ", ".join(each.name for each in plan.checkpoints)
    if not sys.stdin.isatty():
        raise Declined(
            f"Nothing was deleted of {names}: there is no terminal to ask.", hint="Delete it anyway with --yes."
        )
    if not click.confirm(f"Delete {names} of {plan.run.run_id} ({_left(plan)})?", err=True):
        raise Declined("Nothing was deleted.", hint=f"See them with: runctl checkpoint list {plan.run.run_id}")
