"""`runctl extend`."""

from datetime import timedelta
from decimal import Decimal

import click

from runctl_cli.faults import Declined
from runctl_cli.invocation import Invocation
from runctl_cli.parameters import MORE_DURATION, MORE_USD
from runctl_cli.root import Verb
from runctl_cli.values import More

EXAMPLES = """\b
Examples:
  runctl extend last --max-cost +40
  runctl extend r-1hx3k7p --max-runtime +12h --max-cost +40
  runctl extend last --max-runtime 36h
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("run_name", metavar="RUN")
@click.option("--max-runtime", type=MORE_DURATION, metavar="[+]DURATION", help="So much longer, or so long in all.")
@click.option("--max-cost", type=MORE_USD, metavar="[+]USD", help="So much more, or so much in all.")
@click.pass_obj
def extend(
    invocation: Invocation, run_name: str, max_runtime: More[timedelta] | None, max_cost: More[Decimal] | None
) -> None:
    """Let a live run use more time or money.

    RUN is an id, the beginning of one, or "last"; of somebody else's run the whole id. What it may cost more is
    reserved in the budgets as for a new run; when one has no room (exit code 5), nothing is changed. Given twice, an
    addition counts twice.
    """
    client = invocation.client
    run = client.run(run_name)
    if run.user != client.user and run_name != run.run_id:
        raise Declined(
            f"Run {run.run_id} ({run.name}) is {run.user}'s, not yours; nothing was changed.",
            hint=f"Extend it all the same by its whole id: runctl extend {run.run_id}",
        )
    answer = client.extend(
        run,
        runtime=max_runtime and max_runtime.whole,
        more_runtime=max_runtime and max_runtime.added,
        cost_usd=max_cost and max_cost.whole,
        more_usd=max_cost and max_cost.added,
    )
    after = client.run(run.run_id)
    limit_usd = after.spec.max_cost_usd

    def text() -> None:
        click.echo(f"{answer.run_id}  {answer.status.value}")
        invocation.say(answer.message)
        invocation.say_next((f"runctl status {answer.run_id}", "how it stands"))

    limits = {
        "max_runtime_s": after.spec.max_runtime_s,
        "max_cost_usd": None if limit_usd is None else float(limit_usd),
    }
    invocation.answer({**answer.model_dump(mode="json"), **limits}, text)
