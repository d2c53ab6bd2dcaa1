"""A deployment in memory: every port, every function of the controller over them, and events as AWS sends them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from runctl.controller.admit_run import admit_run
from runctl.controller.await_ready import await_ready
from runctl.controller.conclude_run import conclude_run
from runctl.controller.conclusion import Concluding
from runctl.controller.decide_next import decide_next
from runctl.controller.launch_machine import launch_machine
from runctl.controller.observe_agent import observe_agent
from runctl.controller.observe_command import observe_command
from runctl.controller.observe_execution import observe_execution
from runctl.controller.observe_machine import observe_machine
from runctl.controller.reap_machines import reap_machines
from runctl.controller.settings import ControllerSettings
from runctl.controller.start_training import start_training
from runctl.controller.stop_run import stop_run
from runctl.controller.watch_costs import watch_costs
from runctl.controller.watch_limits import watch_limits
from runctl.model.agent_event import AgentEventKind, EndedWhy
from runctl.model.attempt import Attempt
from runctl.model.decision import StepState
from runctl.model.ids import InstanceId, RunId, TaskToken
from runctl.model.machine import MachineState
from runctl.model.run import Run
from runctl.model.service_events import (
    BusEvent,
    CommandEvent,
    ExecutionEvent,
    ExecutionStatus,
    MachineEvent,
    MachineEventKind,
)
from runctl.model.stop import StopCommand
from runctl.model.sweep import SweepRequest
from runctl.model.timeline import TimelineKind
from tests.factories import RUN_ID, make_detail, make_end, make_manifest, make_run
from tests.fakes.clock import FakeClock
from tests.fakes.machines import SUBNETS, FakeMachines
from tests.fakes.runs import InMemoryRunStore
from tests.fakes.services import (
    FakeBucket,
    FakeCommands,
    FakeExecutions,
    FakeMetrics,
    FakeNotifications,
    FakePackages,
    FakePrices,
    FakeSchedules,
    FakeTaskTokens,
)

SETTINGS = ControllerSettings(
    instance_profiles="runctl-ssm-profile:AROAOWN,gpu:AROAGPU",
    region="us-east-1",
    stack_name="runctl",
    bucket="the-bucket",
    bus_name="the-bus",
    machine_log_group="/runctl/machines",
    launch_template_id="lt-0123456789abcdef0",
    subnet_ids=tuple(subnet.subnet_id for subnet in SUBNETS),
)


@dataclass
class World:
    """The ports and the functions. Methods named after functions call them as their handlers do."""

    clock: FakeClock = field(default_factory=FakeClock)
    runs: InMemoryRunStore = field(default_factory=InMemoryRunStore)
    tokens: FakeTaskTokens = field(default_factory=FakeTaskTokens)
    commands: FakeCommands = field(default_factory=FakeCommands)
    bucket: FakeBucket = field(default_factory=FakeBucket)
    packages: FakePackages = field(default_factory=FakePackages)
    schedules: FakeSchedules = field(default_factory=FakeSchedules)
    notifications: FakeNotifications = field(default_factory=FakeNotifications)
    metrics: FakeMetrics = field(default_factory=FakeMetrics)
    prices: FakePrices = field(default_factory=FakePrices)
    executions: FakeExecutions = field(default_factory=FakeExecutions)
    machines: FakeMachines = field(init=False)

    def __post_init__(self) -> None:
        self.machines = FakeMachines(self.clock)

    # -- what is there -------------------------------------------------------------------------------------------

    def submit(self, **fields: Any) -> Run:
        """Write a run as the client does."""
        run = make_run(**fields)
        self.runs.create_run(run)
        return run

    def run(self, run_id: RunId = RUN_ID) -> Run:
        """Read a run that must be there."""
        run = self.runs.run(run_id)
        assert run is not None
        return run

    def attempt(self, number: int = 0, run_id: RunId = RUN_ID) -> Attempt:
        """Read an attempt that must be there, the current one unless a number is given."""
        attempts = self.runs.attempts(run_id)
        return attempts[number - 1]

    def machine(self, number: int = 0) -> InstanceId:
        """The machine of an attempt that must have one."""
        instance_id = self.attempt(number).instance_id
        assert instance_id is not None
        return instance_id

    def timeline(self, run_id: RunId = RUN_ID) -> list[TimelineKind]:
        """The kinds of the timeline's events, oldest first."""
        return [event.kind for event in self.runs.events(run_id)]

    # -- the steps -----------------------------------------------------------------------------------------------

    def admit_run(self, state: StepState) -> dict[str, Any]:
        return admit_run(state, runs=self.runs, now=self.clock)

    def launch_machine(self, state: StepState) -> dict[str, Any]:
        return launch_machine(
            state,
            runs=self.runs,
            machines=self.machines,
            prices=self.prices,
            schedules=self.schedules,
            settings=SETTINGS,
            now=self.clock,
        )

    def await_ready(self, state: StepState, token: TaskToken, turn: str = "") -> dict[str, Any]:
        return await_ready(
            state,
            token,
            runs=self.runs,
            tokens=self.tokens,
            machines=self.machines,
            commands=self.commands,
            now=self.clock,
            turn=turn,
        )

    def start_training(self, state: StepState, token: TaskToken, turn: str = "") -> dict[str, Any]:
        return start_training(
            state,
            token,
            runs=self.runs,
            tokens=self.tokens,
            machines=self.machines,
            commands=self.commands,
            bucket=self.bucket,
            packages=self.packages,
            settings=SETTINGS,
            now=self.clock,
            turn=turn,
        )

    def decide_next(self, state: StepState) -> dict[str, Any]:
        return decide_next(
            state,
            runs=self.runs,
            machines=self.machines,
            commands=self.commands,
            bucket=self.bucket,
            notifications=self.notifications,
            now=self.clock,
        )

    def conclude_run(self, state: StepState) -> dict[str, Any]:
        return conclude_run(state, **self.ports)

    # -- the observers -------------------------------------------------------------------------------------------

    def observe_machine(self, event: MachineEvent) -> dict[str, Any]:
        return observe_machine(event, tokens=self.tokens, commands=self.commands, **self.ports)

    def observe_command(self, event: CommandEvent) -> dict[str, Any]:
        return observe_command(event, runs=self.runs, tokens=self.tokens)

    def observe_agent(self, event: BusEvent) -> dict[str, Any]:
        return observe_agent(event, tokens=self.tokens, commands=self.commands, metrics=self.metrics, **self.ports)

    def observe_execution(self, event: ExecutionEvent) -> dict[str, Any]:
        return observe_execution(event, commands=self.commands, **self.ports)

    def stop_run(self, run_id: RunId = RUN_ID, **fields: Any) -> dict[str, Any]:
        command = StopCommand.model_validate({"run_id": run_id, "requested_by": "ada", **fields})
        return stop_run(command, tokens=self.tokens, commands=self.commands, prices=self.prices, **self.ports)

    def watch_costs(self) -> dict[str, Any]:
        return watch_costs(
            runs=self.runs,
            ledger=self.runs,
            machines=self.machines,
            prices=self.prices,
            metrics=self.metrics,
            notifications=self.notifications,
            now=self.clock,
        )

    def watch_limits(self) -> dict[str, Any]:
        return watch_limits(
            ports=Concluding(**self.ports), prices=self.prices, tokens=self.tokens, commands=self.commands
        )

    def reap_machines(self, *, dry_run: bool = False, confirmed: Iterable[InstanceId] = ()) -> dict[str, Any]:
        return reap_machines(
            SweepRequest(dry_run=dry_run, confirmed=frozenset(confirmed)),
            executions=self.executions,
            commands=self.commands,
            tokens=self.tokens,
            metrics=self.metrics,
            settings=SETTINGS,
            **self.ports,
        )

    @property
    def ports(self) -> dict[str, Any]:
        """What concludes, and most other functions."""
        return {
            "runs": self.runs,
            "machines": self.machines,
            "bucket": self.bucket,
            "schedules": self.schedules,
            "notifications": self.notifications,
            "now": self.clock,
        }

    # -- what AWS and the machines say ---------------------------------------------------------------------------

    def warning(self, instance_id: InstanceId) -> MachineEvent:
        """EC2's interruption warning."""
        return self._machine_event(
            MachineEventKind.WARNING, {"instance-id": instance_id, "instance-action": "terminate"}
        )

    def rebalance(self, instance_id: InstanceId) -> MachineEvent:
        """EC2's rebalance recommendation."""
        return self._machine_event(MachineEventKind.REBALANCE, {"instance-id": instance_id})

    def state_change(self, instance_id: InstanceId, state: MachineState = MachineState.SHUTTING_DOWN) -> MachineEvent:
        """EC2's state change; the reason stands in EC2 only."""
        return self._machine_event(MachineEventKind.STATE_CHANGE, {"instance-id": instance_id, "state": state.value})

    def _machine_event(self, kind: MachineEventKind, detail: dict[str, str]) -> MachineEvent:
        return MachineEvent.model_validate({"detail-type": kind.value, "time": self.clock(), "detail": detail})

    def command_event(self, instance_id: InstanceId, command_id: str, status: str = "Failed") -> CommandEvent:
        """SSM's status of a command."""
        detail = {"command-id": command_id, "instance-id": instance_id, "status": status}
        return CommandEvent.model_validate({"time": self.clock(), "detail": detail})

    def execution_event(self, status: ExecutionStatus, run_id: RunId = RUN_ID) -> ExecutionEvent:
        """Step Functions' status of the execution."""
        detail = {"name": run_id, "status": status.value, "error": "Stopped", "cause": "by a person"}
        return ExecutionEvent.model_validate({"time": self.clock(), "detail": detail})

    def says(self, kind: AgentEventKind, data: dict[str, Any] | None = None, *, number: int = 0) -> BusEvent:
        """A signed event of an attempt's agent."""
        detail = make_detail(self.attempt(number), kind, data, at=self.clock())
        return BusEvent(time=self.clock(), detail=detail)

    def says_ready(self, number: int = 0) -> BusEvent:
        """The machine's first word."""
        return self.says(AgentEventKind.MACHINE_READY, number=number)

    def says_started(self, number: int = 0, **data: Any) -> BusEvent:
        """The training began."""
        return self.says(
            AgentEventKind.TRAINING_STARTED, {"started_at": self.clock().isoformat(), **data}, number=number
        )

    def says_ended(
        self, why: EndedWhy = EndedWhy.EXITED, exit_code: int | None = 0, *, number: int = 0, **fields: Any
    ) -> BusEvent:
        """The training ended."""
        return self.says(AgentEventKind.TRAINING_ENDED, make_end(why, exit_code, **fields), number=number)

    def saves(self, step: int, *, number: int = 0, **more: Any) -> BusEvent:
        """The agent put a checkpoint into the bucket; answers its event."""
        attempt = self.attempt(number)
        manifest = make_manifest(attempt.number, step, at=self.clock(), instance_id=self.machine(number))
        self.bucket.saved.append(manifest)
        prefix = self.bucket.prefix_of(RUN_ID, attempt.number, self.machine(number))
        data = {
            "name": manifest.name,
            "step": step,
            "manifest_key": f"{prefix}checkpoints/{manifest.name}/manifest.json",
            "bytes": 64,
            "files": 1,
            "saved_at": self.clock().isoformat(),
            **more,
        }
        return self.says(AgentEventKind.CHECKPOINT_SAVED, data, number=number)
