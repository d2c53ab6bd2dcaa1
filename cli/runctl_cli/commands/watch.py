"""`runctl watch`."""

import click

from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import complete_runs
from runctl_cli.root import Verb

EXAMPLES = """\b
Examples:
  runctl watch last
  runctl train train.py --spot --yes && runctl watch last
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("run_name", metavar="RUN", shell_complete=complete_runs)
@click.pass_obj
def watch(invocation: Invocation, run_name: str) -> None:
    """Watch a run on a live screen, and return the training's result.

    RUN is an id, the beginning of one, or "last". Progress, loss, how busy the machine is, cost against its limit,
    attempts and the newest events; where there is no terminal, lines. Ctrl-C ends the watching, never the run.
    """
    from runctl_cli.watching import watch_and_answer

    watch_and_answer(invocation, invocation.client.run(run_name))
