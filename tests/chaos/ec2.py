"""EC2 in virtual time: capacity that comes and goes, machines that are not shown at once and do not go at once."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from runctl.errors import PermissionDenied
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.machine import FleetAnswer, LaunchedMachine, MachineState, MachineView
from runctl.model.names import Tag
from runctl.model.run import PurchaseOption
from tests.chaos.faults import Weather
from tests.chaos.loop import Loop
from tests.chaos.truth import Ledger, MachineTruth, Violation
from tests.fakes.clock import FakeClock
from tests.fakes.machines import SUBNETS, FakeMachines

FORGOTTEN_AFTER_S: Final = 3_600.0
"""EC2 User Guide, "Terminate Amazon EC2 instances": an hour or so after its end an instance is shown no more."""

UNTAGGED_AFTER_S: Final = 1_200.0
SPOT_MESSAGES: Final = ("Server.SpotInstanceTermination: Instance terminated due to spot capacity", "", "Terminated.")
OTHER_MESSAGES: Final = (
    "Client.UserInitiatedShutdown: User initiated shutdown (spot request closed)",
    "Client.UserInitiatedShutdown: User initiated shutdown",
    "",
)
"""EC2's words are not a promise: those of a machine that somebody ended may speak of spot, and the reverse."""

NO_CAPACITY: Final = ("InsufficientInstanceCapacity", "UnfulfillableCapacity")
PAGE: Final = 2
"""Machines on a page, so that a few machines already fill several."""


class Ec2(FakeMachines):
    """`Machines` of the ports. What happens to a machine is told to `on_change`, as EventBridge would be."""

    def __init__(self, loop: Loop, weather: Weather, ledger: Ledger) -> None:
        super().__init__(FakeClock())
        self._loop = loop
        self._weather = weather
        self._chance = weather.chance
        self._ledger = ledger
        self._count = 0
        self.shortages: list[tuple[float, float, str | None, str]] = []
        """From, until, the type or None for all, the error code."""
        self.quota: int | None = None
        self.on_launch: Callable[[MachineTruth, MachineView], None] = lambda _truth, _view: None
        self.on_change: Callable[[InstanceId, MachineState], None] = lambda _instance_id, _state: None
        self.on_asked: Callable[[InstanceId], None] = lambda _instance_id: None

    # -- the port ------------------------------------------------------------------------------------------------

    def machine(self, instance_id: InstanceId) -> MachineView | None:
        return self._views.get(instance_id) if self._is_shown(instance_id) else None

    def machines_of_run(self, run_id: RunId) -> tuple[MachineView, ...]:
        return tuple(each for each in super().machines_of_run(run_id) if self._is_shown(each.instance_id))

    def tagged_machines(self) -> Iterator[MachineView]:
        yield from (each for page in self.pages() for each in page)

    def pages(self) -> Iterator[tuple[MachineView, ...]]:
        """Answer what DescribeInstances answers, page after page."""
        shown = [each for each in super().tagged_machines() if self._is_shown(each.instance_id)]
        for first in range(0, len(shown), PAGE):
            yield tuple(shown[first : first + PAGE])

    def stop(self, instance_id: InstanceId) -> None:
        raise Violation(f"{instance_id} is stopped, though nobody keeps machines here")

    def terminate(self, instance_id: InstanceId) -> None:
        view = self._views.get(instance_id)
        if view is None or not self._is_shown(instance_id):
            return
        if Tag.RUN not in view.tags:
            raise PermissionDenied(f"TerminateInstances: {instance_id} carries no run tag.")
        self.terminated.append(instance_id)
        stray = self._ledger.strays.get(instance_id)
        if stray is not None and not stray.is_ours:
            raise Violation(f"the reaper ends {instance_id}, which is not its own: {view.tags}")
        truth = self._ledger.machines.get(instance_id)
        if truth is not None and truth.ended_by_us_at is None and not view.state.is_going:
            truth.ended_by_us_at = self._loop.now
        self.end(instance_id, "Client.UserInitiatedShutdown", self._chance.choice(OTHER_MESSAGES))

    # -- what happens to machines --------------------------------------------------------------------------------

    def end(self, instance_id: InstanceId, reason: str, message: str) -> None:
        """Let a machine go, soon."""
        if self._weather.strikes("slow_goodbye", self._loop.now):
            truth = self._ledger.machines.get(instance_id)
            if truth is not None:
                self._ledger.runs[truth.run_id].slow_goodbyes += 1
            self._loop.after(self._chance.uniform(5, 90), lambda: self.shut_down(instance_id, reason, message))
        else:
            self.shut_down(instance_id, reason, message)

    def shut_down(self, instance_id: InstanceId, reason: str, message: str) -> None:
        """Let a machine be shutting down now, and terminated half a minute later."""
        view = self._views.get(instance_id)
        if view is None or view.state.is_going:
            return
        self.go(instance_id, reason, message)
        self._ledger.tell(instance_id, "shutting-down: {} {}", reason, message)
        self.on_change(instance_id, MachineState.SHUTTING_DOWN)
        self._loop.after(self._chance.uniform(2, 60), lambda: self._terminated(instance_id))

    def run_now(self, instance_id: InstanceId) -> None:
        """Let a pending machine run."""
        view = self._views[instance_id]
        if view.state is MachineState.PENDING:
            self.boot(instance_id)

    def is_alive(self, instance_id: InstanceId) -> bool:
        """Whether the machine has not begun to go."""
        view = self._views.get(instance_id)
        return view is not None and not view.state.is_going

    def _terminated(self, instance_id: InstanceId) -> None:
        self._change(instance_id, state=MachineState.TERMINATED)
        self.on_change(instance_id, MachineState.TERMINATED)
        self._loop.after(UNTAGGED_AFTER_S, lambda: self.lose_tags(instance_id))
        self._loop.after(FORGOTTEN_AFTER_S, lambda: self.forget(instance_id))

    def _is_shown(self, instance_id: InstanceId) -> bool:
        truth = self._ledger.machines.get(instance_id)
        return truth is None or self._loop.now >= truth.hidden_until

    def add_stray(self, tags: dict[str, str], age_s: float) -> InstanceId:
        """Let there be a running machine of that age that no fleet of a story launched."""
        self._count += 1
        instance_id = InstanceId(f"i-{self._count:017x}")
        self.add(
            MachineView(
                instance_id=instance_id,
                state=MachineState.RUNNING,
                instance_type="t3.micro",
                launched_at=self._loop.time(-age_s),
                tags=tags,
            )
        )
        return instance_id

    # -- launching -----------------------------------------------------------------------------------------------

    def _launch(self, request: dict[str, Any]) -> FleetAnswer:
        option = PurchaseOption(request["TargetCapacitySpecification"]["DefaultTargetCapacityType"])
        zones = {subnet.subnet_id: subnet.availability_zone for subnet in SUBNETS}
        errors: list[dict[str, str]] = []
        tags = _tags(request)
        overrides = list(request["LaunchTemplateConfigs"][0]["Overrides"])
        if option is PurchaseOption.SPOT:
            self._chance.shuffle(overrides)
        for override in overrides:
            kind, subnet_id = override["InstanceType"], override["SubnetId"]
            code = self._refusal(kind, option)
            if code is None:
                machine = self._new_machine(kind, subnet_id, zones[subnet_id], option, tags)
                return FleetAnswer(machines=(machine,), errors=tuple(errors))
            errors.append(
                {
                    "code": code,
                    "message": f"{code}: as EC2 puts it.",
                    "instance_type": kind,
                    "subnet_id": subnet_id,
                    "availability_zone": zones[subnet_id],
                    "lifecycle": option.value,
                }
            )
        truth = self._ledger.runs[RunId(tags[Tag.RUN])]
        truth.refusals += [(self._loop.now, error["code"]) for error in errors]
        self._ledger.tell("EC2", "launches nothing for {}: {}", truth.run_id, errors[0]["code"])
        return FleetAnswer(errors=tuple(errors))

    def _refusal(self, kind: str, option: PurchaseOption) -> str | None:
        living = sum(view.state is not MachineState.TERMINATED for view in self._views.values())
        if self.quota is not None and living >= self.quota:
            return "MaxSpotInstanceCountExceeded" if option is PurchaseOption.SPOT else "VcpuLimitExceeded"
        for begins, ends, missing, code in self.shortages:
            if begins <= self._loop.now < ends and missing in (None, kind):
                return code
        return None

    def _new_machine(
        self, kind: str, subnet_id: str, zone: str, option: PurchaseOption, tags: dict[str, str]
    ) -> LaunchedMachine:
        self._count += 1
        instance_id = InstanceId(f"i-{self._count:017x}")
        view = MachineView(
            instance_id=instance_id,
            state=MachineState.PENDING,
            instance_type=kind,
            availability_zone=zone,
            purchase_option=option,
            launched_at=self._loop.time(),
            tags=tags,
        )
        truth = MachineTruth(instance_id, RunId(tags[Tag.RUN]), AttemptNumber(int(tags[Tag.ATTEMPT])), self._loop.now)
        self._views[instance_id] = view
        self._ledger.machines[instance_id] = truth
        self._ledger.tell("EC2", "launches {} for {} attempt {}", instance_id, truth.run_id, truth.attempt)
        if self._weather.strikes("hidden", self._loop.now):
            truth.hidden_until = self._loop.now + self._chance.uniform(1, 50)
        self.on_launch(truth, view)
        return LaunchedMachine(instance_id=instance_id, instance_type=kind, purchase_option=option, subnet_id=subnet_id)


def _tags(request: dict[str, Any]) -> dict[str, str]:
    specification = next(each for each in request["TagSpecifications"] if each["ResourceType"] == "instance")
    return {tag["Key"]: tag["Value"] for tag in specification["Tags"]}
