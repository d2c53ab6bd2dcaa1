"""`runctl status`."""

import click

from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import complete_runs
from runctl_cli.root import Verb

EXAMPLES = """\b
Examples:
  runctl status last
  runctl --output json status r-1hx3k7p
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("run_name", metavar="RUN", shell_complete=complete_runs)
@click.pass_obj
def status(invocation: Invocation, run_name: str) -> None:
    """Say how a run stands, why, and what comes next.

    RUN is an id, the beginning of one, or "last".
    """
    client = invocation.client
    run = client.run(run_name)
    document = client.document(run)

    def text() -> None:
        from runctl_cli.run_text import print_run

        print_run(invocation, run, client.priced(client.attempts(run.run_id)))

    invocation.answer(document, text)
