"""`runctl destroy`."""

import sys
from typing import TYPE_CHECKING, Final

import click

from runctl_cli.faults import Declined, Interrupted, StillRunning
from runctl_cli.invocation import Invocation
from runctl_cli.root import Verb
from runctl_cli.target_options import choose_account, profile_option, region_option

if TYPE_CHECKING:
    from runctl.aws.change_sets import StackEvent
    from runctl.client.destroying import Inventory

_STACK: Final = "AWS::CloudFormation::Stack"

EXAMPLES = """\b
Examples:
  runctl destroy
  runctl destroy --force --empty-bucket
  runctl destroy --region eu-central-1 --stack-name runctl
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@profile_option
@region_option
@click.option("--force", is_flag=True, help="Let runs save and end first, and terminate their machines.")
@click.option("--empty-bucket", is_flag=True, help="Delete the bucket, too: code, checkpoints, outputs, logs.")
@click.option("--stack-name", metavar="NAME", help="Name of the stack, instead of being asked for it.")
@click.pass_obj
def destroy(
    invocation: Invocation,
    profile: str | None,
    region: str | None,
    force: bool,
    empty_bucket: bool,
    stack_name: str | None,
) -> None:
    """Delete the stack; what was trained is kept.

    Refuses while runs or machines are there. The history of runs goes with the tables; the bucket with checkpoints,
    outputs and logs stays, unless --empty-bucket.
    """
    configuration = choose_account(invocation, profile, region)
    destroying = invocation.wiring.destroying(configuration, invocation.say)
    inventory = destroying.inventory()
    _say_inventory(invocation, configuration.settings.target.value, inventory, empties_bucket=empty_bucket)
    if inventory.is_busy and not force:
        raise StillRunning(
            f"There are still {_count(inventory)}; nothing was deleted.",
            hint="Wait for them, or let them save and end first: runctl destroy --force",
        )
    _confirm(stack_name)
    if inventory.is_busy:
        inventory = destroying.end_runs(inventory)
        if inventory.is_busy:
            raise StillRunning(
                f"Meanwhile others began: there are {_count(inventory)}; nothing was deleted.",
                hint="Try again: runctl destroy --force",
            )

    def tell(event: "StackEvent") -> None:
        if event.is_failure:
            invocation.say(f"{event.status}: {event.logical_id} ({event.resource_type}): {event.reason}")
        elif event.status in {"DELETE_COMPLETE", "DELETE_SKIPPED"} and event.resource_type != _STACK:
            invocation.say(f"  {event.status.lower()}  {event.logical_id}")

    try:
        remains = destroying.destroy(inventory, empties_bucket=empty_bucket, on_event=tell)
    except KeyboardInterrupt as interrupt:
        raise Interrupted(
            "CloudFormation goes on deleting the stack if it has begun.", hint="See how it stands: runctl destroy"
        ) from interrupt

    def text() -> None:
        click.echo(f"Deleted {inventory.stack.stack_id}.")
        if remains.bucket is not None:
            invocation.say(f"The bucket {remains.bucket} is kept, with all that was trained.")
            invocation.say_next(
                (f"aws s3 rb s3://{remains.bucket} --force", "delete it with everything in it"),
                ("runctl deploy", "deploy again, with a new bucket"),
            )
        elif empty_bucket:
            invocation.say(f"Deleted the bucket with {remains.objects_deleted} objects.")
            invocation.say(f"The empty bucket {remains.asset_bucket} is left for the next deployment.")

    invocation.answer(
        {
            "stack_id": inventory.stack.stack_id,
            "account": inventory.account,
            "region": inventory.region,
            "kept_bucket": remains.bucket,
            "objects_deleted": remains.objects_deleted,
            "asset_bucket": remains.asset_bucket,
        },
        text,
    )


def _say_inventory(invocation: Invocation, target: str, inventory: "Inventory", *, empties_bucket: bool) -> None:
    invocation.say(f"Target {target}, account {inventory.account}, region {inventory.region}.")
    for run in inventory.open_runs:
        invocation.say(f"  run {run.run_id} ({run.name}) of {run.user}: {run.status.value}")
    for machine in inventory.machines:
        invocation.say(f"  machine {machine.instance_id} ({machine.instance_type}): {machine.state.value}")
    kept = "and the bucket with all that was trained" if empties_bucket else "The bucket is kept."
    if empties_bucket:
        invocation.say(f"To be deleted: the stack, the history of runs {kept} ({inventory.bucket}).")
    else:
        invocation.say(f"To be deleted: the stack and the history of runs. {kept}")


def _count(inventory: "Inventory") -> str:
    runs, machines = len(inventory.open_runs), len(inventory.machines)
    return f"{runs} open run{'' if runs == 1 else 's'} and {machines} machine{'' if machines == 1 else 's'}"


def _confirm(stack_name: str | None) -> None:
    """Have the stack's name typed, by option or by hand."""
    from runctl.model.names import STACK_NAME

    if stack_name is None:
        if not sys.stdin.isatty():
            raise Declined(
                "Nothing was deleted: there is no terminal to ask.",
                hint=f"Name the stack: runctl destroy --stack-name {STACK_NAME}",
            )
        stack_name = click.prompt("Type the name of the stack to delete it", err=True, default="", show_default=False)
    if stack_name.strip() != STACK_NAME:
        raise Declined(
            f"Nothing was deleted: the stack's name is {STACK_NAME}, not {stack_name.strip() or 'empty'}.",
            hint="Type it as it stands there.",
        )
