"""`runctl estimate`."""

from datetime import timedelta
from decimal import Decimal

import click

from runctl_cli.invocation import Invocation
from runctl_cli.machine_choice import chosen_types, machine_options
from runctl_cli.parameters import DURATION, USD
from runctl_cli.root import Verb

EXAMPLES = """\b
Examples:
  runctl estimate
  runctl estimate --instance-type g5.xlarge --instance-type g6.xlarge --spot --max-runtime 6h
  runctl estimate --gpus 1xA10G --memory 32+ --spot
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@machine_options
@click.option("--spot/--on-demand", default=None, help="How the machine is paid for.  [default: on-demand]")
@click.option(
    "--disk", "disk_gib", type=click.IntRange(8, 16_384), metavar="GIB", help="Root volume, gp3.  [default: 100]"
)
@click.option("--max-runtime", type=DURATION, metavar="DURATION", help="Time to reckon with.  [default: 24h]")
@click.option("--max-cost", type=USD, metavar="USD", help="The run would be stopped when this much is spent.")
@click.pass_obj
def estimate(
    invocation: Invocation,
    instance_types: tuple[str, ...],
    gpus: str | None,
    cpus: str | None,
    memory: str | None,
    spot: bool | None,
    disk_gib: int | None,
    max_runtime: timedelta | None,
    max_cost: Decimal | None,
) -> None:
    """Say what a run may cost, and launch nothing.

    Each capacity pool in the order in which it would be tried, with disk and public address, if the run used its whole
    time. What is not given comes from [run] of the configuration, as for train.
    """
    from runctl.client.estimate import estimate_document
    from runctl.model.run import PurchaseOption
    from runctl_cli.launching import estimate_lines, say_if_saving_costs_more
    from runctl_cli.values import duration_text, usd_text

    run = invocation.configuration.settings.run
    purchase = run.purchase if spot is None else PurchaseOption.SPOT if spot else PurchaseOption.ON_DEMAND
    types = chosen_types(invocation, run, purchase, instance_types=instance_types, gpus=gpus, cpus=cpus, memory=memory)
    estimated = invocation.client.estimate(
        types,
        purchase,
        runtime=max_runtime or run.max_runtime,
        limit_usd=run.max_cost if max_cost is None else max_cost,
        disk_gib=run.disk_gib if disk_gib is None else disk_gib,
    )

    say_if_saving_costs_more(invocation, estimated)

    def text() -> None:
        for line in estimate_lines(estimated):
            click.echo(line)
        total = estimated.total_usd
        said = "is not known: a price is missing" if total is None else f"is {usd_text(total)}"
        click.echo(f"The most for {duration_text(estimated.runtime)} {said}.")

    invocation.answer(estimate_document(estimated), text)
