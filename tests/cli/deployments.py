"""Deploying, destroying and looking, as the commands see them, without any AWS."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runctl.aws.change_sets import ChangeSet, ResourceChange, Stack, StackEvent
from runctl.aws.identity import Identity
from runctl.client.checks import Finding
from runctl.client.deploying import Choices, DeploymentPlan
from runctl.client.destroying import Inventory, Remains
from runctl.model.machine import MachineView
from runctl.model.names import Output
from runctl.model.run import PurchaseOption, Run

ACCOUNT = "123456789012"
REGION = "eu-central-1"
STACK_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/runctl/1"
STACK = Stack(stack_id=STACK_ID, status="CREATE_COMPLETE", outputs={Output.BUCKET.value: "runctl-data"})

CREATION = ChangeSet(
    arn="arn:change-set",
    stack_id=STACK_ID,
    creates=True,
    changes=(
        ResourceChange(action="Add", logical_id="Queue", resource_type="AWS::SQS::Queue"),
        ResourceChange(action="Add", logical_id="Role", resource_type="AWS::IAM::Role"),
        ResourceChange(action="Add", logical_id="OtherRole", resource_type="AWS::IAM::Role"),
    ),
)


@dataclass
class NotedDeploying:
    """Notes what is asked of it."""

    change_set: ChangeSet | None = CREATION
    failure: BaseException | None = None
    choices: list[Choices] = field(default_factory=list[Choices])
    discarded: int = 0
    applied: int = 0
    region: str = REGION
    template: Mapping[str, Any] = field(
        default_factory=lambda: {"Resources": {"Alarm": {"Type": "AWS::CloudWatch::Alarm"}}}
    )

    def identity(self) -> Identity:
        return Identity(account=ACCOUNT, arn=f"arn:aws:iam::{ACCOUNT}:user/me")

    def plan(self, choices: Choices) -> DeploymentPlan:
        self.choices.append(choices)
        return DeploymentPlan(
            identity=self.identity(),
            region=REGION,
            bucket="runctl-assets",
            made_bucket=False,
            stack=None if self.change_set and self.change_set.creates else STACK,
            change_set=self.change_set,
            parameters={"CostWatchRate": "rate(5 minutes)", "ReaperRate": "rate(15 minutes)"},
        )

    def discard(self, plan: DeploymentPlan) -> None:
        self.discarded += 1

    def apply(self, plan: DeploymentPlan, on_event: Callable[[StackEvent], None] = lambda _event: None) -> Stack:
        self.applied += 1
        on_event(
            StackEvent(event_id="1", logical_id="Queue", resource_type="AWS::SQS::Queue", status="CREATE_COMPLETE")
        )
        if self.failure is not None:
            raise self.failure
        return STACK


@dataclass
class NotedDestroying:
    """Notes what is asked of it."""

    open_runs: tuple[Run, ...] = ()
    machines: tuple[MachineView, ...] = ()
    calls: list[str] = field(default_factory=list[str])

    def inventory(self) -> Inventory:
        return Inventory(account=ACCOUNT, region=REGION, stack=STACK, open_runs=self.open_runs, machines=self.machines)

    def end_runs(self, inventory: Inventory) -> Inventory:
        self.calls.append("end_runs")
        self.open_runs, self.machines = (), ()
        return self.inventory()

    def destroy(
        self,
        inventory: Inventory,
        *,
        empties_bucket: bool,
        on_event: Callable[[StackEvent], None] = lambda _event: None,
    ) -> Remains:
        self.calls.append("destroy")
        return Remains(
            bucket=None if empties_bucket else inventory.bucket,
            objects_deleted=3 if empties_bucket else 0,
            asset_bucket="runctl-assets",
        )


@dataclass
class GivenFindings:
    """A doctor whose findings are given."""

    given: list[Finding] = field(default_factory=list[Finding])
    instance_types: tuple[str, ...] = ()
    options: list[PurchaseOption] = field(default_factory=list[PurchaseOption])
    """For how a machine is paid for, look after look."""

    def of(self, instance_types: Sequence[str]) -> "GivenFindings":
        self.instance_types = tuple(instance_types)
        return self

    def findings(self) -> Iterator[Finding]:
        yield from self.given

    def quick(self, option: PurchaseOption) -> Iterator[Finding]:
        self.options.append(option)
        yield from self.given
