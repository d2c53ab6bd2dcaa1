"""Which machines a run may have: types by name, or what they must have."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runctl.errors import UsageError
from runctl_cli.invocation import Invocation

if TYPE_CHECKING:
    from runctl.model.run import PurchaseOption
    from runctl_cli.settings import RunSettings

Command = TypeVar("Command", bound=Callable[..., Any])


def machine_options(command: Command) -> Command:
    """Add the options by which machines are chosen."""
    for option in (
        click.option("--memory", metavar="GIB", help="With so much memory: 32, or 32+ for at least."),
        click.option("--cpus", metavar="N", help="Machines with so many vCPUs: 8, or 8+ for at least."),
        click.option(
            "--gpus", metavar="GPUS", help="The cheapest machines with these GPUs: 1xA10G, 8xA100-80GB, 1; 2+ at least."
        ),
        click.option(
            "--instance-type",
            "instance_types",
            multiple=True,
            metavar="TYPE",
            help="EC2 instance type; repeat for a choice.",
        ),
    ):
        command = option(command)
    return command


def chosen_types(
    invocation: Invocation,
    run: "RunSettings",
    option: "PurchaseOption",
    *,
    instance_types: tuple[str, ...],
    gpus: str | None,
    cpus: str | None,
    memory: str | None,
) -> tuple[str, ...]:
    """The types that were named, or those that fit best; what is not given comes from the configuration.

    Raises UsageError for both at once, InvalidSpec when nothing fits.
    """
    if instance_types:
        if (gpus, cpus, memory) != (None, None, None):
            raise UsageError(
                "--instance-type names machines; --gpus, --cpus and --memory let runctl choose them.",
                hint="Leave one or the other.",
            )
        return instance_types
    asked = (gpus or run.gpus, cpus or run.cpus, memory or run.memory)
    if asked == (None, None, None):
        return run.instance_type
    from runctl.policy.needs import parse_needs

    needs = parse_needs(*asked)
    assert needs is not None
    types = invocation.client.choose_types(needs, option)
    invocation.say(f"Machines that fit, the cheapest first: {', '.join(types)}.")
    return types
