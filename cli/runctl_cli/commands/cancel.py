"""`runctl cancel`."""

import click

from runctl_cli.faults import Declined
from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import complete_runs
from runctl_cli.root import Verb

EXAMPLES = """\b
Examples:
  runctl cancel last
  runctl cancel r-1hx3k7p --now
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("run_name", metavar="RUN", shell_complete=complete_runs)
@click.option("--now", is_flag=True, help="End its machine at once; what is not yet saved is lost.")
@click.pass_obj
def cancel(invocation: Invocation, run_name: str, now: bool) -> None:
    """Let a run save, then end it.

    RUN is an id, the beginning of one, or "last"; of somebody else's run the whole id. A run that has ended stays as
    it is.
    """
    client = invocation.client
    run = client.run(run_name)
    if run.user != client.user and run_name != run.run_id:
        raise Declined(
            f"Run {run.run_id} ({run.name}) is {run.user}'s, not yours; nothing was ended.",
            hint=f"End it all the same by its whole id: runctl cancel {run.run_id}",
        )
    answer = client.cancel(run.run_id, now=now)

    def text() -> None:
        click.echo(f"{answer.run_id}  {answer.status.value}")
        invocation.say(answer.message)
        invocation.say_next((f"runctl status {answer.run_id}", "how it stands"))

    invocation.answer(answer.model_dump(mode="json"), text)
