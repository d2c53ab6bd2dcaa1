"""EC2 in memory: instant fleets remembered by client token, machines that go, capacity that is missing."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runctl.errors import AwsError, AwsUnavailable, InvalidSpec, PermissionDenied, RunctlError
from runctl.model.ids import InstanceId, RunId
from runctl.model.machine import (
    SPOT_TERMINATION,
    FleetAnswer,
    LaunchedMachine,
    MachineState,
    MachineType,
    MachineView,
    Subnet,
)
from runctl.model.names import Tag
from runctl.model.run import PurchaseOption
from tests.fakes.clock import FakeClock

SUBNETS = (
    Subnet(subnet_id="subnet-a", availability_zone="us-east-1a"),
    Subnet(subnet_id="subnet-b", availability_zone="us-east-1b"),
)
TYPES = {
    "t3.micro": "x86_64",
    "m5.large": "x86_64",
    "m7g.large": "arm64",
}


@dataclass
class FakeMachines:
    """`Machines` of the ports. `refusals` maps an instance type to the error code that every pool of it answers."""

    clock: FakeClock
    refusals: dict[str, str] = field(default_factory=dict[str, str])
    raises: list[RunctlError] = field(default_factory=list[RunctlError])
    """Errors that the next calls of CreateFleet raise, first one first."""
    loses_answer: bool = False
    """Whether the next CreateFleet does its work and then fails as a broken connection does."""
    during_create_fleet: Callable[[], object] | None = None
    """Something that happens, once, while CreateFleet is under way."""
    hides_tagged: bool = False
    """Whether instances are not yet visible by their tags."""
    console: str | RunctlError = ""
    """What every instance has printed, or what is raised in its place."""
    terminate_takes: bool = False
    """Whether a terminated machine goes on running until `finish_terminating`."""
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    terminated: list[InstanceId] = field(default_factory=list[InstanceId])
    _views: dict[InstanceId, MachineView] = field(default_factory=dict[InstanceId, MachineView])
    _answers: dict[str, tuple[dict[str, Any], FleetAnswer]] = field(
        default_factory=dict[str, tuple[dict[str, Any], FleetAnswer]]
    )

    # -- the port ------------------------------------------------------------------------------------------------

    def create_fleet(self, request: Mapping[str, Any]) -> FleetAnswer:
        asked = copy.deepcopy(dict(request))
        self.requests.append(asked)
        if self.during_create_fleet is not None:
            happens, self.during_create_fleet = self.during_create_fleet, None
            happens()
        if self.raises:
            raise self.raises.pop(0)
        token = asked["ClientToken"]
        if token in self._answers:
            remembered, answer = self._answers[token]
            if remembered != asked:
                raise AwsError("The arguments differ.", aws_code="IdempotentParameterMismatch")
            return answer
        answer = self._launch(asked)
        self._answers[token] = (asked, answer)
        if self.loses_answer:
            self.loses_answer = False
            raise AwsUnavailable("The connection was closed before an answer came.")
        return answer

    def machine(self, instance_id: InstanceId) -> MachineView | None:
        return self._views.get(instance_id)

    def machines_of_run(self, run_id: RunId) -> tuple[MachineView, ...]:
        if self.hides_tagged:
            return ()
        return tuple(view for view in self._views.values() if view.tags.get(Tag.RUN) == run_id)

    def tagged_machines(self) -> Iterator[MachineView]:
        for view in self._views.values():
            if Tag.RUN in view.tags and view.state is not MachineState.TERMINATED:
                yield view

    def views(self, instance_ids: Iterable[InstanceId]) -> dict[InstanceId, MachineView]:
        return {instance_id: self._views[instance_id] for instance_id in instance_ids if instance_id in self._views}

    def stop(self, instance_id: InstanceId) -> None:
        view = self._views[instance_id]
        assert Tag.RUN in view.tags
        assert view.purchase_option is PurchaseOption.ON_DEMAND, "EC2 refuses to stop a one-time spot machine"
        self._change(instance_id, state=MachineState.STOPPED, changed_at=self.clock().replace(microsecond=0))

    def console_output(self, instance_id: InstanceId) -> str:
        if isinstance(self.console, RunctlError):
            raise self.console
        return self.console if instance_id in self._views else ""

    def terminate(self, instance_id: InstanceId) -> None:
        view = self._views.get(instance_id)
        if view is None or Tag.RUN not in view.tags:
            # The functions may end what carries the run tag; of a machine that EC2 has forgotten there is none.
            raise PermissionDenied(f"TerminateInstances: {instance_id} carries no run tag.")
        self.terminated.append(instance_id)
        if not view.state.is_going and not self.terminate_takes:
            self.go(instance_id, "Client.UserInitiatedShutdown", "User initiated")

    def subnets(self, subnet_ids: Iterable[str]) -> tuple[Subnet, ...]:
        known = {subnet.subnet_id: subnet for subnet in SUBNETS}
        return tuple(known[subnet_id] for subnet_id in subnet_ids)

    def machine_types(self, names: Iterable[str]) -> tuple[MachineType, ...]:
        found: list[MachineType] = []
        for name in names:
            if name not in TYPES:
                raise InvalidSpec(f"EC2 does not know the instance type {name}.")
            found.append(MachineType(name=name, architecture=TYPES[name]))
        return tuple(found)

    def image_id(self, machine_type: MachineType) -> str:
        return f"ami-{machine_type.architecture}"

    def root_device(self, image_id: str) -> str:
        return f"/dev/root-of-{image_id}"

    # -- what a test does ----------------------------------------------------------------------------------------

    def add(self, view: MachineView) -> None:
        """Let there be a machine that no fleet launched."""
        self._views[view.instance_id] = view

    def boot(self, instance_id: InstanceId) -> None:
        """Let a machine run."""
        self._change(instance_id, state=MachineState.RUNNING)

    def start(self, instance_id: InstanceId) -> None:
        """Let a person start a stopped machine: EC2 shows the time of the last start only."""
        assert self._views[instance_id].state is MachineState.STOPPED
        self._change(instance_id, state=MachineState.RUNNING, changed_at=None, launched_at=self.clock())

    def go(
        self,
        instance_id: InstanceId,
        reason: str = SPOT_TERMINATION,
        message: str = "Instance terminated due to spot capacity",
        state: MachineState = MachineState.SHUTTING_DOWN,
    ) -> None:
        """Let a machine go, for EC2's reason."""
        self._change(instance_id, state=state, state_reason=reason, state_message=message)

    def finish_terminating(self) -> None:
        """Let machines go that were asked to."""
        self.terminate_takes = False
        for instance_id in dict.fromkeys(self.terminated):
            self.go(instance_id, "Client.UserInitiatedShutdown", "User initiated")

    def lose_tags(self, instance_id: InstanceId) -> None:
        """Let EC2 take the tags off a machine, as it does some time after the machine's end."""
        self._change(instance_id, tags={})

    def forget(self, instance_id: InstanceId) -> MachineView:
        """Let EC2 not know a machine: it is long gone, or not visible yet. Answers it as it was."""
        return self._views.pop(instance_id)

    def forget_all(self) -> None:
        """Let EC2 know no machine any more, as it is an hour after their end."""
        self._views.clear()

    @property
    def alive(self) -> list[InstanceId]:
        """Machines that are not going."""
        return [view.instance_id for view in self._views.values() if not view.state.is_going]

    @property
    def launched(self) -> list[InstanceId]:
        """All machines, in the order in which they came."""
        return list(self._views)

    def _change(self, instance_id: InstanceId, **changes: object) -> None:
        self._views[instance_id] = self._views[instance_id].model_copy(update=changes)

    def _launch(self, request: dict[str, Any]) -> FleetAnswer:
        option = PurchaseOption(request["TargetCapacitySpecification"]["DefaultTargetCapacityType"])
        zones = {subnet.subnet_id: subnet.availability_zone for subnet in SUBNETS}
        errors: list[dict[str, str]] = []
        for override in request["LaunchTemplateConfigs"][0]["Overrides"]:
            kind, subnet_id = override["InstanceType"], override["SubnetId"]
            code = self.refusals.get(kind)
            if code is None:
                return self._answer_with(kind, subnet_id, zones[subnet_id], option, request, errors)
            errors.append(
                {
                    "code": code,
                    "message": f"{code} it is.",
                    "instance_type": kind,
                    "subnet_id": subnet_id,
                    "availability_zone": zones[subnet_id],
                    "lifecycle": option.value,
                }
            )
        return FleetAnswer(errors=tuple(errors))

    def _answer_with(
        self,
        kind: str,
        subnet_id: str,
        zone: str,
        option: PurchaseOption,
        request: dict[str, Any],
        errors: list[dict[str, str]],
    ) -> FleetAnswer:
        instance_id = InstanceId(f"i-{len(self._views) + 1:017x}")
        specification = next(s for s in request["TagSpecifications"] if s["ResourceType"] == "instance")
        self._views[instance_id] = MachineView(
            instance_id=instance_id,
            state=MachineState.PENDING,
            instance_type=kind,
            availability_zone=zone,
            purchase_option=option,
            launched_at=self.clock(),
            tags={tag["Key"]: tag["Value"] for tag in specification["Tags"]},
        )
        machine = LaunchedMachine(
            instance_id=instance_id, instance_type=kind, purchase_option=option, subnet_id=subnet_id
        )
        return FleetAnswer(machines=(machine,), errors=tuple(errors))
