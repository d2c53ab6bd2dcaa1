"""`runctl checkpoint list`."""

from typing import TYPE_CHECKING

import click

from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import complete_runs
from runctl_cli.root import Verb
from runctl_cli.tables import table_lines
from runctl_cli.values import bytes_text, utc_text

if TYPE_CHECKING:
    from runctl.model.checkpoint import Manifest

EXAMPLES = """\b
Examples:
  runctl checkpoint list last
"""


@click.command("list", cls=Verb, epilog=EXAMPLES)
@click.argument("run_name", metavar="RUN", shell_complete=complete_runs)
@click.pass_obj
def list_checkpoints(invocation: Invocation, run_name: str) -> None:
    """List a run's complete checkpoints, newest first.

    RUN is an id, the beginning of one, or "last". Times are UTC.
    """
    from runctl.client.documents import checkpoint_document

    client = invocation.client
    run = client.run(run_name)
    found = client.checkpoints(run.run_id)

    def text() -> None:
        if not found:
            invocation.say(f"The run {run.run_id} has no complete checkpoint.")
            return
        for line in table_lines(("NAME", "STEP", "ATTEMPT", "SIZE", "SAVED (UTC)"), [_row(each) for each in found]):
            click.echo(line)
        invocation.say_next(
            (f"runctl download {run.run_id} --checkpoint {found[0].name}", "fetch one"),
            *(((f"runctl resume {run.run_id}", "go on from the newest"),) if run.status.is_terminal else ()),
        )

    invocation.answer({"run_id": run.run_id, "checkpoints": [checkpoint_document(each) for each in found]}, text)


def _row(manifest: "Manifest") -> tuple[str, ...]:
    from runctl.client.checkpoints import total_bytes

    return (
        manifest.name,
        "" if manifest.step is None else str(manifest.step),
        str(manifest.attempt),
        bytes_text(total_bytes(manifest)),
        utc_text(manifest.saved_at),
    )
