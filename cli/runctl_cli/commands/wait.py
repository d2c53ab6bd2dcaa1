"""`runctl wait`."""

import click

from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import complete_runs
from runctl_cli.root import Verb

EXAMPLES = """\b
Examples:
  runctl wait last
  runctl wait r-1hx3k7p && runctl download r-1hx3k7p
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("run_name", metavar="RUN", shell_complete=complete_runs)
@click.pass_obj
def wait(invocation: Invocation, run_name: str) -> None:
    """Wait for a run's end, and return the training's result.

    RUN is an id, the beginning of one, or "last". Ctrl-C ends the waiting, never the run.
    """
    from runctl_cli.waiting import wait_and_answer

    wait_and_answer(invocation, invocation.client.run(run_name))
