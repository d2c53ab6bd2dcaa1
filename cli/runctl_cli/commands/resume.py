"""`runctl resume`."""

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import complete_runs
from runctl_cli.launching import answer_launched, confirm_cost, sending, what_and_where
from runctl_cli.parameters import DURATION, USD
from runctl_cli.root import Verb

if TYPE_CHECKING:
    from runctl.client.preparing import PreparedProject
    from runctl.client.resuming import ResumePlan

EXAMPLES = """\b
Examples:
  runctl resume last --wait
  runctl resume r-1hx3k7p --max-runtime 6h --instance-type g5.xlarge
  runctl resume last --sync-code
  runctl resume last --force -- --epochs 20
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("run_name", metavar="RUN", shell_complete=complete_runs)
@click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGS]...")
@click.option("--checkpoint", metavar="NAME", help="Go on from this one.  [default: the newest complete one]")
@click.option("--sync-code", is_flag=True, help="Send the project as it is now, not the ended run's.")
@click.option(
    "--instance-type", "instance_types", multiple=True, metavar="TYPE", help="EC2 instance type; repeat for a choice."
)
@click.option("--spot/--on-demand", default=None, help="How the machine is paid for.  [default: as it was]")
@click.option(
    "--max-runtime", type=DURATION, metavar="DURATION", help="Save and stop after this.  [default: as it was]"
)
@click.option("--max-cost", type=USD, metavar="USD", help="Save and stop when this much is spent.")
@click.option("--force", is_flag=True, help="Train on, although the run succeeded.")
@click.option("--wait", is_flag=True, help="Wait for the end, and return the training's result.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask, whatever the estimate.")
@click.pass_obj
def resume(
    invocation: Invocation,
    run_name: str,
    args: tuple[str, ...],
    checkpoint: str | None,
    sync_code: bool,
    force: bool,
    wait: bool,
    yes: bool,
    **asked: Any,
) -> None:
    """Start a new run that goes on from an ended one.

    RUN is an id, the beginning of one, or "last". The new run has the ended one's code, settings and arguments, but
    for what is given here; limits of time and money count anew. Arguments after two dashes replace the ended run's.
    """
    client = invocation.client
    earlier = client.run(run_name)
    plan = client.plan_resume(earlier, _changes(args, **asked), checkpoint=checkpoint, force=force)
    prepared = _prepared(invocation, plan) if sync_code else None
    place = client.place
    target = invocation.configuration.settings.target.value
    invocation.say(f"Target {target}, account {place.account}, region {place.region}.")
    invocation.say(f"Resuming {earlier.run_id} from {plan.resumed_from.name}.")
    confirm_cost(invocation, what_and_where(plan.request), plan.estimate, yes=yes)
    if prepared is None:
        run = client.resume(plan)
    else:
        on_upload, on_bytes = sending(invocation)
        run = client.resume(plan, prepared, on_upload=on_upload, on_bytes=on_bytes)
    answer_launched(invocation, run, wait=wait)


def _changes(
    args: tuple[str, ...],
    *,
    instance_types: tuple[str, ...],
    spot: bool | None,
    max_runtime: timedelta | None,
    max_cost: Decimal | None,
) -> dict[str, Any]:
    """What the new run asks for otherwise."""
    from runctl.model.run import PurchaseOption

    changes: dict[str, Any] = {}
    if args:
        changes["args"] = args
    if instance_types:
        changes["instance_types"] = instance_types
    if spot is not None:
        changes["purchase_option"] = PurchaseOption.SPOT if spot else PurchaseOption.ON_DEMAND
    if max_runtime is not None:
        changes["max_runtime_s"] = round(max_runtime.total_seconds())
    if max_cost is not None:
        changes["max_cost_usd"] = max_cost
    return changes


def _prepared(invocation: Invocation, plan: "ResumePlan") -> "PreparedProject":
    """Look at the project as it is now."""
    from runctl.client.client import prepare
    from runctl.client.resuming import SyncedProject, project_spec

    configuration = invocation.configuration
    sync = configuration.settings.sync
    synced = SyncedProject(configuration.folder, sync.include, configuration.left_out, sync.max_mb * 1_000_000)
    prepared = prepare(project_spec(plan.request, synced))
    for skipped in prepared.files.skipped:
        invocation.say(f"Note: {skipped}")
    return prepared
