"""`runctl ps`."""

import click

from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import remember_runs
from runctl_cli.root import Verb

EXAMPLES = """\b
Examples:
  runctl ps
  runctl ps --all-users --limit 100
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="How many, newest first.")
@click.option("--all-users", "-a", is_flag=True, help="Not only yours.")
@click.pass_obj
def ps(invocation: Invocation, limit: int, all_users: bool) -> None:
    """List runs.

    Yours in this project, newest first.
    """
    from runctl.client.documents import listed_document

    runs = invocation.client.runs(limit, all_users=all_users)
    remember_runs(runs)

    def text() -> None:
        from runctl_cli.run_text import age_text
        from runctl_cli.tables import table_lines

        if not runs:
            invocation.say("This project has no runs yet." if all_users else "You have no runs in this project yet.")
            invocation.say_next(
                ("runctl ps --all-users", "those of others too"),
                ("runctl train SCRIPT", "train on a machine of its own"),
            )
            return
        head = ("RUN", "NAME", "SCRIPT", "STATUS", "REASON", "ATTEMPTS", "STEP", "SUBMITTED", "BY")
        rows = [
            (
                run.run_id,
                run.name,
                run.spec.label,
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
