"""`runctl events`."""

import click

from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import complete_runs
from runctl_cli.root import Verb
from runctl_cli.values import utc_text

EXAMPLES = """\b
Examples:
  runctl events last
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("run_name", metavar="RUN", shell_complete=complete_runs)
@click.pass_obj
def events(invocation: Invocation, run_name: str) -> None:
    """Print what happened to a run, in order.

    RUN is an id, the beginning of one, or "last". Times are UTC.
    """
    from runctl.client.documents import event_document

    run = invocation.client.run(run_name)
    timeline = invocation.client.events(run.run_id)

    def text() -> None:
        width = max((len(event.kind.value) for event in timeline), default=0)
        for event in timeline:
            clock = utc_text(event.at)
            attempt = "" if event.attempt is None else str(event.attempt)
            click.echo(f"{clock}  {attempt:<2} {event.kind.value:<{width}}  {event.text}")

    invocation.answer({"run_id": run.run_id, "events": [event_document(event) for event in timeline]}, text)
