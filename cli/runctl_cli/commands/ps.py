"""`runctl ps`."""

import click

from runctl_cli.invocation import Invocation
from runctl_cli.root import Verb

EXAMPLES = """\b
Examples:
  runctl ps
  runctl ps --limit 100
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="How many, newest first.")
@click.pass_obj
def ps(invocation: Invocation, limit: int) -> None:
    """List runs.

    Those of this project, newest first, whoever started them.
    """
    from runctl.client.documents import listed_document

    runs = invocation.client.runs(limit)

    def text() -> None:
        from runctl_cli.run_text import age_text
        from runctl_cli.tables import table_lines

        if not runs:
            invocation.say("This project has no runs yet.")
            invocation.say_next(("runctl train SCRIPT", "train on a machine of its own"))
            return
        head = ("RUN", "NAME", "STATUS", "REASON", "ATTEMPTS", "STEP", "SUBMITTED", "BY")
        rows = [
            (
                run.run_id,
                run.name,
                run.status.value,
                "" if run.reason is None else run.reason.value,
                str(run.attempt),
                "" if run.progress is None or run.progress.step is None else str(run.progress.step),
                age_text(run.created_at),
                run.user,
            )
            for run in runs
        ]
        for line in table_lines(head, rows):
            click.echo(line)

    invocation.answer({"runs": [listed_document(run) for run in runs]}, text)
