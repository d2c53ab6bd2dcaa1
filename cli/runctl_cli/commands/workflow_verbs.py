"""`runctl workflow train`, `resume` and `cleanup`: other names of `train --wait`, `resume` and `resources cleanup`."""

from typing import Final

import click

from runctl_cli.commands.resources_cleanup import cleanup as resources_cleanup
from runctl_cli.commands.resume import resume as resume_run
from runctl_cli.commands.train import train as train_run
from runctl_cli.root import Verb

_TRAIN_HELP: Final = """Train SCRIPT from the estimate to the machine's end, and wait for it.

Another name of runctl train, which waits, and fails a run that leaves no complete checkpoint: estimate, machine,
project, training, check, and the machine's end. When it fails, the answer says what was kept and what was ended.
"""


def _other_name(
    command: click.Command, examples: str, *, text: str | None = None, instead: tuple[click.Option, ...] = ()
) -> Verb:
    """The same command by another name; `instead` are options that have another default there."""
    replaced = {option.name: option for option in instead}
    return Verb(
        name=command.name,
        callback=command.callback,
        params=[replaced.get(each.name, each) for each in command.params],
        help=text or command.help,
        epilog=f"\b\nExamples:\n{examples}",
    )


train = _other_name(
    train_run,
    "  runctl workflow train train.py --instance-type g5.xlarge --spot -- --epochs 3\n",
    text=_TRAIN_HELP,
    instead=(
        click.Option(["--wait/--detach"], default=True, help="Wait for the end.  [default: wait]"),
        click.Option(
            ["--verify-checkpoints/--no-verify-checkpoints"],
            default=True,
            help="Fail the run when its training ends without a checkpoint.  [default: verify]",
        ),
    ),
)
resume = _other_name(resume_run, "  runctl workflow resume last --wait\n")
cleanup = _other_name(resources_cleanup, "  runctl workflow cleanup\n  runctl workflow cleanup --yes\n")
