"""A deployed controller in memory and in virtual time: its ports, its state machine, the bus, machines."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from runctl.controller.settings import ControllerSettings
from runctl.errors import MachineNotReady
from runctl.model.agent_event import AgentEventKind
from runctl.model.checkpoint import Manifest
from runctl.model.decision import ExecutionInput
from runctl.model.ids import AttemptNumber, InstanceId, RunId, TaskToken
from runctl.model.job import AgentJob, HandOver, ReplacementReady
from runctl.model.machine import MachineState, MachineView
from runctl.model.names import Function, Tag
from runctl.model.run import PurchaseOption, Run
from runctl.model.service_events import CommandStatus, ExecutionStatus, MachineEventKind
from runctl.model.stop import StopAction, StopCommand
from tests.chaos.definition import synthesized
from tests.chaos.ec2 import NO_CAPACITY, SPOT_MESSAGES, Ec2
from tests.chaos.faults import Faults, Weather
from tests.chaos.functions import CRASHES, FunctionFailed, Runtime
from tests.chaos.interpreter import Execution, TaskFailed, Tokens
from tests.chaos.loop import Loop
from tests.chaos.machine import Machine
from tests.chaos.script import Script
from tests.chaos.truth import Ledger, MachineTruth, StrayTruth
from tests.fakes.machines import SUBNETS
from tests.fakes.runs import InMemoryRunStore
from tests.fakes.services import (
    FakeBucket,
    FakeCommands,
    FakeMetrics,
    FakeNotifications,
    FakePackages,
    FakePrices,
)

REAPER_EVERY_S: Final = 900.0
WATCH_EVERY_S: Final = 1_800.0
"""The parameter says five minutes; thirty are enough to meet everything else."""

NOTICE_S: Final = 120.0
STALE_ONLINE_S: Final = 60.0
"""SSM calls a machine Online for a while after it has gone."""

SILENT_ONLINE_S: Final = 300.0
DELIVERY_TIMEOUT_S: Final = 120.0
"""runctl/aws/commands.py."""

MUST_BEAR: Final = {"throttled": 40, "crashed": 2, "refused": 12, "raced": 6, "alive": 24}
"""How often a step may fail before a run may be lost by it: what docs/architecture.md promises of retries."""

STEP_TIMEOUT_S: Final = 90.0
"""stacks/state_machine/chain.py."""

KIND_OF_ERROR: Final = {
    "Lambda.TooManyRequestsException": "throttled",
    **dict.fromkeys((*CRASHES, "States.Timeout"), "crashed"),
    "Throttled": "refused",
    "AwsUnavailable": "refused",
    "StaleWriteError": "raced",
    "MachineStillAlive": "alive",
}

_SPOT: Final = "Server.SpotInstanceTermination"
_ENDED_BADLY: Final = {"FAILED", "TIMED_OUT", "ABORTED"}
_GOING: Final = {state.value for state in MachineState if state.is_going}


class TaskTokens:
    """`TaskTokens` of the ports."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def succeed(self, token: TaskToken, output: Mapping[str, Any]) -> bool:
        return self._tokens.succeed(token, dict(output))

    def fail(self, token: TaskToken, error: str, cause: str) -> bool:
        return self._tokens.fail(token, error, cause)


class Executions:
    """`Executions` of the ports."""

    def __init__(self) -> None:
        self.known: dict[RunId, Execution] = {}

    def status(self, run_id: RunId) -> ExecutionStatus | None:
        execution = self.known.get(run_id)
        return None if execution is None else ExecutionStatus(execution.status)


class Schedules:
    """`Schedules` of the ports: one-time schedules, precise to a minute."""

    def __init__(self, loop: Loop, fire: Callable[[RunId, StopAction], None]) -> None:
        self._loop = loop
        self._fire = fire
        self._times: dict[tuple[RunId, StopAction], datetime] = {}

    def terminate_at(self, run_id: RunId, at: datetime) -> None:
        self._set(run_id, StopAction.TERMINATE, at)

    def remove(self, run_id: RunId) -> None:
        self._times.pop((run_id, StopAction.TERMINATE), None)

    def look_at(self, run_id: RunId, at: datetime) -> None:
        self._set(run_id, StopAction.LIMITS, at)

    def forget(self, run_id: RunId) -> None:
        self._times.pop((run_id, StopAction.LIMITS), None)

    def _set(self, run_id: RunId, action: StopAction, at: datetime) -> None:
        self._times[run_id, action] = at
        self._loop.at(self._loop.seconds(at) + 30.0, lambda: self._due(run_id, action, at))

    def _due(self, run_id: RunId, action: StopAction, at: datetime) -> None:
        if self._times.get((run_id, action)) == at:
            del self._times[run_id, action]
            self._fire(run_id, action)


class Commands(FakeCommands):
    """`Commands` of the ports: what is sent arrives, or SSM says that it does not."""

    def __init__(self, cloud: "Cloud") -> None:
        super().__init__()
        self._cloud = cloud
        self._count = 0

    def is_online(self, instance_id: InstanceId) -> bool:
        return self._cloud.is_online(instance_id)

    def send(self, instance_id: InstanceId, script: str, *, comment: str) -> str:
        if not self._cloud.takes_commands(instance_id):
            raise MachineNotReady(f"SSM does not know {instance_id}.")
        self._count += 1
        self._cloud.send(instance_id, script.split()[1:], f"command-{self._count}")
        return f"command-{self._count}"


class Cloud:
    """Everything that AWS is to the controller. The attributes without a dash are the ports, named as in Deployment."""

    def __init__(self, loop: Loop, weather: Weather, ledger: Ledger) -> None:
        self._loop = loop
        self._weather = weather
        self._chance = weather.chance
        self._ledger = ledger
        self._tokens = Tokens()
        self._failures: dict[tuple[RunId, int, str], int] = {}
        self.scripts: dict[RunId, Script] = {}
        self.saved_at: dict[tuple[RunId, AttemptNumber, int | None], float] = {}
        """When checkpoints really came into the bucket."""
        self.living: dict[InstanceId, Machine] = {}
        self.runtime = Runtime(loop, weather, ledger, self)
        self.settings = ControllerSettings(
            region="us-east-1",
            stack_name="runctl",
            bucket="the-bucket",
            bus_name="the-bus",
            machine_log_group="/runctl/machines",
            launch_template_id="lt-0123456789abcdef0",
            subnet_ids=tuple(subnet.subnet_id for subnet in SUBNETS),
        )
        self.runs = InMemoryRunStore(copies=False)
        self.ledger = self.runs
        self.machines = Ec2(loop, weather, ledger)
        self.machines.on_launch = self._launched
        self.machines.on_change = self._changed
        self.prices = FakePrices()
        self.commands = Commands(self)
        self.tokens = TaskTokens(self._tokens)
        self.executions = Executions()
        self.bucket = FakeBucket()
        self.packages = FakePackages()
        self.schedules = Schedules(loop, self._stop)
        self.notifications = FakeNotifications()
        self.metrics = FakeMetrics()
        self._is_look_lost = False
        self.on_training: Callable[[Machine], None] = lambda _machine: None

    @property
    def is_disturbed(self) -> bool:
        """Whether anything may go wrong."""
        return self._weather.faults != Faults()

    # -- runs ----------------------------------------------------------------------------------------------------

    def submit(self, run: Run, script: Script) -> None:
        """Write the run, as the client does."""
        self.scripts[run.run_id] = script
        self.runs.create_run(run)

    def start(self, run: Run) -> Execution:
        """Start the run's execution."""
        execution = Execution(
            synthesized(),
            run.run_id,
            ExecutionInput.of(run).model_dump(mode="json", exclude_none=True),
            loop=self._loop,
            tokens=self._tokens,
            invoke=self._invoke_step,
            chance=self._chance,
            on_end=self._execution_ended,
            on_enter=lambda state: self._ledger.tell(run.run_id, "enters {}", state),
        )
        self.executions.known[run.run_id] = execution
        self._loop.after(0.0, execution.start)
        return execution

    def _invoke_step(self, function: str, payload: Any) -> Any:
        run_id, began = RunId(payload["state"]["run_id"]), self._loop.now
        try:
            answer = self.runtime.invoke(function, payload)
            if self._loop.now - began >= STEP_TIMEOUT_S:
                self._count_failure(run_id, function, FunctionFailed("States.Timeout", "", by_fault=True))
            return answer
        except FunctionFailed as failed:
            self._count_failure(run_id, function, failed)
            raise TaskFailed(failed.error, f'{{"errorMessage": "{failed.message}"}}') from None

    def _count_failure(self, run_id: RunId, function: str, failed: FunctionFailed) -> None:
        """Keep a step as broken once it has failed, in one state, more often than it must bear."""
        kind = KIND_OF_ERROR.get(failed.error)
        if kind is None or not (failed.by_fault or failed.error in ("StaleWriteError", "MachineStillAlive")):
            return
        where = (run_id, len(self.executions.known[run_id].entered), kind)
        self._failures[where] = self._failures.get(where, 0) + 1
        if self._failures[where] > MUST_BEAR[kind]:
            self._ledger.runs[run_id].broken_steps.append((self._loop.now, function, failed.error))

    def _execution_ended(self, execution: Execution) -> None:
        self._ledger.tell(execution.name, "execution {} {}", execution.status, execution.error)
        if execution.status in _ENDED_BADLY:
            detail = {"name": execution.name, "status": execution.status, "error": execution.error}
            self.emit(Function.OBSERVE_EXECUTION, {"detail": {**detail, "cause": execution.cause}})

    def _stop(self, run_id: RunId, action: StopAction) -> None:
        command = StopCommand(run_id=run_id, action=action, requested_by="the schedule")
        if self._weather.strikes("lost", self._loop.now):
            self._ledger.tell("schedule", "is lost: {}", run_id)
            return
        self.runtime.invoke_later(Function.STOP_RUN, command.model_dump(mode="json"), self._chance.uniform(0, 30))

    # -- events --------------------------------------------------------------------------------------------------

    def emit(self, function: Function, event: dict[str, Any]) -> None:
        """Let EventBridge deliver an event: once, or never, or twice, soon or late."""
        now = self._loop.now
        event = {"time": self._loop.time().replace(microsecond=0).isoformat(), **event}
        if self._weather.strikes("lost", now):
            self._ledger.tell(function, "never hears of {}", _shown(event["detail"]))
            return
        speaker = self._ledger.machines.get(event["detail"].get("instance_id", ""))
        if speaker is not None:
            speaker.was_heard = True
        for _ in range(2 if self._weather.strikes("doubled", now) else 1):
            delay = self._chance.uniform(0.05, 1.0)
            if self._weather.strikes("late", now):
                delay = self._chance.uniform(1, 600)
            self.runtime.invoke_later(function, event, delay)

    def reap(self) -> None:
        """Let the schedule call the reaper, now and again and again."""
        # Never twice in a row: EventBridge Scheduler tries again, and the promise is about looks that were made.
        self._is_look_lost = not self._is_look_lost and self._weather.strikes("lost", self._loop.now)
        if not self._is_look_lost:
            for _ in range(2 if self._weather.strikes("doubled", self._loop.now) else 1):
                self.runtime.invoke_later(Function.REAP_MACHINES, {}, self._chance.uniform(0, 5))
        if self._weather.strikes("leftover", self._loop.now):
            self._leave_over()
        self._loop.after(REAPER_EVERY_S, self.reap)

    def watch(self) -> None:
        """Let the schedule call the cost watch, now and again and again."""
        self.runtime.invoke_later(Function.WATCH_COSTS, {})
        self._loop.after(WATCH_EVERY_S, self.watch)

    # -- machines ------------------------------------------------------------------------------------------------

    def is_online(self, instance_id: InstanceId) -> bool:
        """What SSM says of a machine: its word is a minute old."""
        machine = self.living.get(instance_id)
        truth = self._ledger.machines.get(instance_id)
        if machine is None or truth is None or truth.online_at is None or truth.online_at > self._loop.now:
            return False
        if truth.gone_at is not None:
            return self._loop.now < truth.gone_at + STALE_ONLINE_S
        since = truth.silent_from
        return not machine.is_silent or since is None or self._loop.now < since + SILENT_ONLINE_S

    def takes_commands(self, instance_id: InstanceId) -> bool:
        """Whether SendCommand takes a command for a machine."""
        truth = self._ledger.machines.get(instance_id)
        known = truth is not None and truth.online_at is not None and truth.online_at <= self._loop.now
        takes = known and self.machines.is_alive(instance_id)
        if truth is not None and not takes and truth.unreachable_at is None:
            truth.unreachable_at = self._loop.now
        return takes

    def send(self, instance_id: InstanceId, words: list[str], command_id: str) -> None:
        """Let a command arrive."""
        delay = self._chance.uniform(0.1, 2.0)
        self._ledger.tell("SSM", "{} {} for {}", command_id, " ".join(words), instance_id)
        fails = words[0] == "start" and self._weather.strikes("command_fails", self._loop.now)
        self._loop.after(delay, lambda: self._arrives(instance_id, words, command_id, fails))

    def _arrives(self, instance_id: InstanceId, words: list[str], command_id: str, fails: bool) -> None:
        machine = self.living[instance_id]
        if machine.is_dead or machine.is_silent or machine.truth.never_ready:
            after, status = DELIVERY_TIMEOUT_S, CommandStatus.DELIVERY_TIMED_OUT
        elif fails or not machine.command(words):
            after, status = 1.0, CommandStatus.FAILED
        else:
            return
        if words[0] == "start":
            machine.truth.command_failed = True
        detail = {"command-id": command_id, "instance-id": instance_id, "status": status.value}
        self._loop.after(after, lambda: self.emit(Function.OBSERVE_COMMAND, {"detail": detail}))

    def _launched(self, truth: MachineTruth, view: MachineView) -> None:
        machine = Machine(
            truth,
            self.scripts[truth.run_id],
            self,
            loop=self._loop,
            weather=self._weather,
            ledger=self._ledger,
        )
        instance_id, now = truth.instance_id, self._loop.now
        self.living[instance_id] = machine
        strikes, chance, after = self._weather.strikes, self._chance, self._loop.after
        if strikes("dies_pending", now):
            after(chance.uniform(1, 20), lambda: self._refused(machine))
            return
        boots = chance.uniform(10, 40)
        after(boots, lambda: self.machines.run_now(instance_id))
        if strikes("never_ready", now):
            truth.never_ready = True
            if chance.random() < 0.5:
                truth.online_at = now + boots + 20
        else:
            online = boots + chance.uniform(2, 30)
            truth.online_at = now + online
            begins = online + chance.uniform(-5, 20)
            after(begins, lambda: machine.announce(self._loop.now + 600))
        if view.purchase_option is PurchaseOption.SPOT and strikes("interrupted", now):
            after(chance.uniform(0, 1_200), lambda: self._interrupt(machine))
        if strikes("vanishes", now):
            after(chance.uniform(0, 1_200), lambda: self._vanish(machine))
        if strikes("silent", now):
            lasts = chance.choice((30.0, 400.0, 1_500.0, 100_000.0))
            after(chance.uniform(0, 1_200), lambda: machine.lose_network(lasts))
        if strikes("deletes", now):
            after(chance.uniform(0, 1_200), lambda: self._delete(machine))

    def _leave_over(self) -> None:
        """Let there be a machine that no run of this story launched: a stray, or one that must be left alone."""
        nobodys = {Tag.RUN.value: "r-000000000000", Tag.STACK.value: self.settings.stack_name}
        tags, is_ours = self._chance.choice(
            (
                (nobodys, True),
                (nobodys, True),
                ({**nobodys, Tag.PROTECTED.value: "ada"}, False),
                ({**nobodys, Tag.STACK.value: "another"}, False),
            )
        )
        instance_id = self.machines.add_stray(tags, self._chance.uniform(0, 7_200))
        self._ledger.strays[instance_id] = StrayTruth(self._loop.now, is_ours)
        self._ledger.tell("somebody", "leaves {} behind: {}", instance_id, tags)

    def _refused(self, machine: Machine) -> None:
        if self.machines.is_alive(machine.instance_id):
            machine.truth.refused_at = self._loop.now
            self.machines.shut_down(machine.instance_id, "Server.InsufficientInstanceCapacity", NO_CAPACITY[0])

    def _interrupt(self, machine: Machine) -> None:
        """EC2 warns, and takes the machine two minutes later; or a little else happens."""
        instance_id, strikes, now = machine.instance_id, self._weather.strikes, self._loop.now
        if not self.machines.is_alive(instance_id):
            return
        machine.truth.warned_at = now
        machine.ends_at = now + NOTICE_S
        self._ledger.tell("EC2", "warns {}", instance_id)
        self._tell_machine(instance_id, MachineEventKind.WARNING, {"instance-action": "terminate"})
        if not strikes("unwarned", now):
            self._loop.after(self._chance.uniform(0, 1), lambda: machine.notice(now + NOTICE_S))
        if strikes("stays", now):
            return
        ends = self._chance.uniform(1, 119) if strikes("dies_in_notice", now) else NOTICE_S + 2
        self._loop.after(ends, lambda: self._take(machine))

    def _take(self, machine: Machine) -> None:
        if self.machines.is_alive(machine.instance_id):
            machine.truth.taken_at = self._loop.now
            self.machines.end(machine.instance_id, _SPOT, self._chance.choice(SPOT_MESSAGES))

    def _vanish(self, machine: Machine) -> None:
        """The hardware fails: at once, and EC2 says so a little later."""
        if self.machines.is_alive(machine.instance_id):
            machine.truth.lost_at = self._loop.now
            self._ledger.tell(machine.instance_id, "vanishes")
            machine.die()
            reason = self._chance.choice(("Server.InternalError", "Client.InstanceInitiatedShutdown"))
            seconds = self._chance.uniform(1, 300)
            self._loop.after(seconds, lambda: self.machines.end(machine.instance_id, reason, "spot or not, it is gone"))

    def _delete(self, machine: Machine) -> None:
        if self.machines.is_alive(machine.instance_id):
            machine.truth.deleted_at = self._loop.now
            self._ledger.tell("somebody", "ends {} by hand", machine.instance_id)
            message = "Client.UserInitiatedShutdown: User initiated shutdown (spot)"
            self.machines.end(machine.instance_id, "Client.UserInitiatedShutdown", message)

    def _changed(self, instance_id: InstanceId, state: MachineState) -> None:
        machine = self.living.get(instance_id)
        if machine is not None:
            machine.die() if state is MachineState.TERMINATED else machine.shut_down()
        if state.value in _GOING:
            self._tell_machine(instance_id, MachineEventKind.STATE_CHANGE, {"state": state.value})

    def _tell_machine(self, instance_id: InstanceId, kind: MachineEventKind, detail: dict[str, str]) -> None:
        event = {"detail-type": kind.value, "detail": {"instance-id": instance_id, **detail}}
        self.emit(Function.OBSERVE_MACHINE, event)

    # -- what a machine finds around it --------------------------------------------------------------------------

    def job(self, instance_id: InstanceId) -> AgentJob | None:
        return self.bucket.jobs.get(instance_id)

    def go(self, instance_id: InstanceId) -> HandOver | None:
        return self.bucket.gos.get(instance_id)

    def replacement(self, instance_id: InstanceId) -> ReplacementReady | None:
        return self.bucket.replacements.get(instance_id)

    def heartbeat(self, token: str) -> bool:
        return self._tokens.heartbeat(token)

    def put_event(self, kind: AgentEventKind, detail: dict[str, Any]) -> None:
        self.emit(Function.OBSERVE_AGENT, {"detail-type": kind.value, "detail": detail})

    def put_manifest(self, manifest: Manifest) -> None:
        self.bucket.saved.append(manifest)
        self.saved_at[manifest.run_id, manifest.attempt, manifest.step] = self._loop.now
        self._ledger.tell(f"attempt {manifest.attempt}", "saves step {}", manifest.step)

    def put_marker(self, instance_id: InstanceId, detail: dict[str, Any]) -> None:
        self.bucket.markers[instance_id] = detail

    def power_off(self, instance_id: InstanceId) -> None:
        self.machines.end(instance_id, "Client.InstanceInitiatedShutdown", "Instance initiated shutdown")

    def training_began(self, machine: Machine) -> None:
        self.on_training(machine)


def _shown(detail: dict[str, Any]) -> dict[str, Any]:
    """An event's detail without what is different every time."""
    return {name: value for name, value in detail.items() if name != "signature"}
