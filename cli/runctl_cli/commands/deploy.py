"""`runctl deploy`."""

import sys
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runctl_cli.faults import Declined, Interrupted
from runctl_cli.invocation import Invocation
from runctl_cli.parameters import USD
from runctl_cli.root import Verb
from runctl_cli.target_options import choose_account, profile_option, region_option

if TYPE_CHECKING:
    from runctl.aws.change_sets import ResourceChange, Stack, StackEvent
    from runctl.client.deploying import Choices, DeploymentPlan
    from runctl_cli.settings import Configuration

EXAMPLES = """\b
Examples:
  runctl deploy --region eu-central-1
  runctl deploy --profile research --data-bucket images --notify me@example.org
  runctl deploy --vpc vpc-0a1b --subnets subnet-0c2d,subnet-0e3f --yes
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@profile_option
@region_option
@click.option("--vpc", metavar="ID", help="VPC for the machines, with --subnets.  [default: a network of its own]")
@click.option("--subnets", metavar="ID,ID", help="Subnets of it that have a way out to the internet.")
@click.option(
    "--data-bucket",
    "data_buckets",
    multiple=True,
    metavar="NAME",
    help="Bucket that machines may read; repeat for more.",
)
@click.option(
    "--machine-policy",
    "machine_policies",
    multiple=True,
    metavar="ARN",
    help="Managed policy that machines have, too; repeat for more.",
)
@click.option(
    "--allow-instance-profile",
    "instance_profiles",
    multiple=True,
    metavar="NAME",
    help="Instance profile that machines may be launched with; repeat for more.",
)
@click.option("--dashboard/--no-dashboard", default=None, help="A CloudWatch dashboard, which is paid for.")
@click.option("--notify", metavar="EMAIL", help="Address for notifications and alarms; it must be confirmed once.")
@click.option(
    "--aws-budget",
    type=USD,
    metavar="USD",
    help="A monthly budget of AWS's own beside runctl's, which tells the same people; 0: none.",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def deploy(invocation: Invocation, profile: str | None, region: str | None, yes: bool, **asked: Any) -> None:
    """Create or update the stack in an AWS account.

    Shows what CloudFormation would change and what the stack costs while nothing runs, then asks. What is not said
    stays as it was deployed last; an empty value takes it away. Runs go on over an update. The local target is
    deployed by "runctl local up", or here with --target local.
    """
    configuration = choose_account(invocation, profile, region, means_aws=True)
    deploying = invocation.wiring.deploying(configuration, invocation.say)
    account = deploying.identity().account
    invocation.say(f"Target {configuration.settings.target.value}, account {account}, region {deploying.region}.")
    plan = deploying.plan(_choices(**asked))
    costs = _costs(deploying.template, plan)
    if plan.change_set is None:
        stack = plan.stack
        assert stack is not None  # there is nothing to change about it
        invocation.say(f"The stack is deployed and has not changed ({stack.status}).")
    else:
        _say_changes(invocation, plan.change_set.changes)
        _say_costs(invocation, costs)
        try:
            _confirm(creates=plan.change_set.creates, yes=yes)
        except BaseException:
            # Whatever ends the question, Ctrl-C too: nothing was deployed, and so nothing is left.
            deploying.discard(plan)
            raise
        try:
            stack = deploying.apply(plan, _progress(invocation, len(plan.change_set.changes)))
        except KeyboardInterrupt as interrupt:
            raise Interrupted(
                "CloudFormation goes on with the stack by itself.", hint="See how it stands, later: runctl deploy"
            ) from interrupt
    _offer_configuration(invocation, configuration, plan, yes=yes)
    _answer(invocation, plan, stack, costs)


def _choices(
    *,
    vpc: str | None,
    subnets: str | None,
    data_buckets: tuple[str, ...],
    machine_policies: tuple[str, ...],
    instance_profiles: tuple[str, ...],
    dashboard: bool | None,
    notify: str | None,
    aws_budget: "Decimal | None",
) -> "Choices":
    from runctl.client.deploying import Choices

    return Choices(
        vpc_id=vpc,
        subnet_ids=None if subnets is None else _named(subnets.split(",")),
        data_buckets=_named(data_buckets) if data_buckets else None,
        machine_policies=_named(machine_policies) if machine_policies else None,
        instance_profiles=_named(instance_profiles) if instance_profiles else None,
        has_dashboard=dashboard,
        notify_email=notify,
        aws_budget_usd=aws_budget,
    )


def _named(values: "tuple[str, ...] | list[str]") -> tuple[str, ...]:
    """What is not empty: one empty value stands for none."""
    return tuple(value.strip() for value in values if value.strip())


def _say_changes(invocation: Invocation, changes: "tuple[ResourceChange, ...]") -> None:
    """Tell new resources by kind and the rest one by one; --verbose tells all one by one."""
    added = [change for change in changes if change.action == "Add"]
    others = [change for change in changes if change.action != "Add"]
    if added:
        invocation.say(f"To be created: {len(added)} resources.")
        kinds = Counter(change.resource_type.removeprefix("AWS::") for change in added)
        for kind, count in sorted(kinds.items()):
            invocation.say(f"  {count:>3}  {kind}")
    for change in [*added, *others] if invocation.verbose else others:
        replaced = {"True": ", replaced", "Conditional": ", perhaps replaced"}.get(change.replacement, "")
        invocation.say(f"{change.action}{replaced}: {change.logical_id} ({change.resource_type})")


def _costs(template: Any, plan: "DeploymentPlan") -> tuple[tuple[str, Decimal, Decimal], ...]:
    """What, US dollars a month, and what of it the free tier covers."""
    from runctl.client.idle_cost import idle_costs

    return tuple((each.what, each.usd, each.free_tier_usd) for each in idle_costs(template, plan.parameters))


def _say_costs(invocation: Invocation, costs: tuple[tuple[str, Decimal, Decimal], ...]) -> None:
    from runctl.client.idle_cost import SOURCE
    from runctl_cli.values import usd_text

    total = sum((usd for _, usd, _ in costs), Decimal(0))
    paid = sum((usd - free for _, usd, free in costs), Decimal(0))
    invocation.say(
        f"While nothing runs it costs {usd_text(total)} a month, {usd_text(paid)} where the free tier is not used up:"
    )
    for what, usd, _ in costs:
        invocation.say(f"  {usd_text(usd):>6}  {what}")
    invocation.say(f"  ({SOURCE})")


def _confirm(*, creates: bool, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Declined(
            "Nothing was deployed: there is no terminal to ask.", hint="Deploy without being asked: runctl deploy --yes"
        )
    if not click.confirm("Create the stack?" if creates else "Change the stack?", err=True):
        raise Declined("Nothing was deployed.", hint="See what can be chosen: runctl deploy --help")


def _progress(invocation: Invocation, count: int) -> "Callable[[StackEvent], None]":
    """Tell each resource that is done, with how many of those that change are."""
    done: set[str] = set()

    def tell(event: "StackEvent") -> None:
        if event.is_failure:
            invocation.say(f"{event.status}: {event.logical_id} ({event.resource_type}): {event.reason}")
        elif event.status.endswith("_COMPLETE") and event.resource_type != "AWS::CloudFormation::Stack":
            done.add(event.logical_id)
            number = f"{min(len(done), count)}/{count}"
            invocation.say(f"  {number:>9}  {event.status.lower()}  {event.logical_id}")

    return tell


def _offer_configuration(
    invocation: Invocation, configuration: "Configuration", plan: "DeploymentPlan", *, yes: bool
) -> None:
    """Let .runctl.toml say where was deployed, so that the next command goes there."""
    from runctl_cli.settings import Target
    from runctl_cli.settings_edit import Key, write_settings
    from runctl_cli.settings_file import CONFIG_NAME

    if configuration.settings.target is not Target.AWS:
        return
    path = invocation.config_path or configuration.folder / CONFIG_NAME
    values: dict[Key, str] = {("", "target"): "aws", ("aws", "region"): plan.region}
    if configuration.settings.aws.profile is not None:
        values["aws", "profile"] = configuration.settings.aws.profile
    if _says_already(path, values):
        return
    wording = ", ".join(f'{name} = "{value}"' for (_, name), value in values.items())
    if not yes and not _agrees(f"Write {wording} to {path}?"):
        return
    if write_settings(path, values):
        invocation.say(f"Wrote {wording} to {path}.")


def _agrees(question: str) -> bool:
    """Ask where there is a terminal. Who lets go of it has a deployed stack all the same, and no changed file."""
    try:
        return sys.stdin.isatty() and click.confirm(question, default=True, err=True)
    except click.Abort:
        return False


def _says_already(path: Path, values: Any) -> bool:
    from runctl_cli.settings_edit import changed_text

    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8")
    return changed_text(text, values).rstrip("\n") == text.rstrip("\n")


def _answer(
    invocation: Invocation, plan: "DeploymentPlan", stack: "Stack", costs: tuple[tuple[str, Decimal, Decimal], ...]
) -> None:
    changes = () if plan.change_set is None else plan.change_set.changes
    document = {
        "changed": plan.change_set is not None,
        "account": plan.identity.account,
        "region": plan.region,
        "stack_id": stack.stack_id,
        "status": stack.status,
        "asset_bucket": plan.bucket,
        "changes": [change.model_dump(mode="json") for change in changes],
        "outputs": stack.outputs,
        "idle_usd_per_month": float(sum((usd for _, usd, _ in costs), Decimal(0))),
    }

    def text() -> None:
        click.echo(stack.stack_id)
        invocation.say_next(
            ("runctl doctor", "see whether the account lets runs begin"),
            ("runctl train SCRIPT --spot --wait", "train on a machine of its own"),
            ("runctl destroy", "delete the stack"),
        )

    invocation.answer(document, text)
