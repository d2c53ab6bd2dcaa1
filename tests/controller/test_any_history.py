"""Whatever happens, in whatever order it is told: a run ends once, two machines never train at once, none is left."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runctl.model.agent_event import AgentEventKind, EndedWhy
from runctl.model.ids import InstanceId
from runctl.model.machine import SPOT_TERMINATION, MachineState
from runctl.model.run import Run
from runctl.model.service_events import BusEvent, CommandEvent, ExecutionEvent, ExecutionStatus, MachineEvent
from runctl.model.status import RunStatus
from runctl.model.timeline import TimelineKind
from tests.controller.stages import start
from tests.factories import RUN_ID, make_spec
from tests.fakes.state_machine import Execution
from tests.fakes.world import World

Event = MachineEvent | CommandEvent | BusEvent | ExecutionEvent


@dataclass
class Machine:
    """One machine and its agent, as they are; what the controller knows of them is another matter."""

    number: int
    instance_id: InstanceId
    trains: bool = False
    has_ended: bool = False
    waits: bool = False
    """Whether it stands at its fence."""
    leaves_at: datetime | None = None
    """When EC2 takes it, once it was warned."""
    step: int = 0


@dataclass
class History:
    """A run, its execution, its machines, and the events that are on their way."""

    world: World = field(default_factory=World)
    on_their_way: list[Event] = field(default_factory=list[Event])
    machines: dict[InstanceId, Machine] = field(default_factory=dict[InstanceId, Machine])
    execution: Execution = field(init=False)
    ended_as: Run | None = None

    def __post_init__(self) -> None:
        self.execution = start(self.world, spec=make_spec(capacity_timeout_s=600, retries=1))
        self.execution.advance()
        self._know_machines()

    # -- what may happen ---------------------------------------------------------------------------------------

    def happen(self, what: str, which: int) -> None:
        """Let one thing happen, as far as it can, and see that all is well."""
        machine = self._some_machine(which)
        if what in ("boot", "start", "save", "succeed", "fail", "leave", "warn", "take", "kill", "command fails"):
            if machine is not None and self._lives(machine):
                self._to_machine(what, machine, which)
        else:
            self._to_run(what, which)
        self.execution.advance()
        self._know_machines()
        self._check()

    def _to_machine(self, what: str, machine: Machine, which: int) -> None:
        world = self.world
        commanded = world.attempt(machine.number).command_id is not None
        match what:
            case "boot":
                world.machines.boot(machine.instance_id)
                world.commands.online.add(machine.instance_id)
                self.on_their_way.append(world.says_ready(machine.number))
            case "start" if commanded and not machine.trains and not machine.has_ended:
                self._begin(machine)
            case "save" if machine.trains:
                machine.step += 10
                self.on_their_way.append(world.saves(100 * machine.number + machine.step, number=machine.number))
            case "succeed" if machine.trains:
                self._end(machine, EndedWhy.EXITED, 0)
            case "fail" if machine.trains:
                self._end(machine, EndedWhy.EXITED, 1 + which % 3)
            case "leave" if machine.trains:
                self._end(machine, EndedWhy.STOP if world.run().stop_request else EndedWhy.NOTICE, 75)
            case "warn":
                machine.leaves_at = machine.leaves_at or world.clock() + timedelta(seconds=120)
                self.on_their_way.append(world.warning(machine.instance_id))
            case "take":
                self._go(machine, SPOT_TERMINATION)
            case "kill":
                self._go(machine, "Client.UserInitiatedShutdown")
            case "command fails" if commanded and not machine.trains and not machine.has_ended:
                machine.has_ended = True
                command_id = world.attempt(machine.number).command_id or ""
                self.on_their_way.append(world.command_event(machine.instance_id, command_id))
            case _:
                pass

    def _to_run(self, what: str, which: int) -> None:
        world = self.world
        match what:
            case "time":
                self._pass_time(30 * (1 + which))
            case "silence":
                self._pass_time(901)
            case "tell" if self.on_their_way:
                self._deliver(self.on_their_way.pop(which % len(self.on_their_way)))
            case "tell and keep" if self.on_their_way:
                self._deliver(self.on_their_way[which % len(self.on_their_way)])
            case "lose" if self.on_their_way:
                self.on_their_way.pop(which % len(self.on_their_way))
            case "stop":
                world.stop_run()
            case "stop now":
                world.stop_run(now=True)
            case "abort" if self.execution.status is ExecutionStatus.RUNNING:
                self.execution.abort()
                self.on_their_way.append(world.execution_event(ExecutionStatus.ABORTED))
            case "reap":
                world.reap_machines()
            case "slow goodbyes":
                world.machines.terminate_takes = True
            case "goodbye":
                world.machines.finish_terminating()
            case "no capacity":
                world.machines.refusals["t3.micro"] = "InsufficientInstanceCapacity"
            case "capacity":
                world.machines.refusals.clear()
            case _:
                pass
        self._fire_schedule()

    def finish(self) -> None:
        """Let the world calm down: capacity is back, machines do what they were asked, time passes, events arrive."""
        self.world.machines.refusals.clear()
        self.world.machines.finish_terminating()
        for _ in range(30):
            if self.world.run().status.is_terminal and self.execution.status is not ExecutionStatus.RUNNING:
                break
            for what in ("boot", "start", "leave" if self.world.run().stop_request else "succeed"):
                for n in range(len(self.machines)):
                    self.happen(what, n)
                while self.on_their_way:
                    self.happen("tell", 0)
            self.happen("silence", 0)
        for _ in range(2):  # an execution's end that was never told is found first, then the time to save passes
            self.world.clock.move(7_200)
            self.world.reap_machines()
            self.world.clock.move(7_200)
            self._fire_schedule()
        self._check()

    # -- how machines behave -----------------------------------------------------------------------------------

    def _some_machine(self, which: int) -> Machine | None:
        known = list(self.machines.values())
        return known[which % len(known)] if known else None

    def _lives(self, machine: Machine) -> bool:
        view = self.world.machines.machine(machine.instance_id)
        return view is not None and not view.state.is_going

    def _pass_time(self, seconds: float) -> None:
        """EC2 does what it announced, whatever is told of it."""
        self.world.clock.move(seconds)
        for machine in self.machines.values():
            if machine.leaves_at is not None and self.world.clock() >= machine.leaves_at and self._lives(machine):
                self._go(machine, SPOT_TERMINATION)

    def _begin(self, machine: Machine) -> None:
        job = self.world.bucket.jobs.get(machine.instance_id)
        if job is not None and job.must_fence and machine.instance_id not in self.world.bucket.gos:
            machine.waits = True
            waiting = {"waiting_since": self.world.clock().isoformat()}
            self.on_their_way.append(
                self.world.says(AgentEventKind.WAITING_FOR_HAND_OVER, waiting, number=machine.number)
            )
            return
        others = [other for other in self.machines.values() if other is not machine and other.trains]
        assert not any(self._lives(other) for other in others), "two machines train at once"
        machine.trains = True
        self.on_their_way.append(self.world.says_started(machine.number))

    def _end(self, machine: Machine, why: EndedWhy, exit_code: int) -> None:
        machine.trains, machine.has_ended = False, True
        event = self.world.says_ended(why, exit_code, number=machine.number)
        self.world.bucket.markers[machine.instance_id] = event.detail
        self.on_their_way.append(event)

    def _go(self, machine: Machine, reason: str) -> None:
        machine.trains = False
        self.world.machines.go(machine.instance_id, reason)
        self.on_their_way.append(self.world.state_change(machine.instance_id, MachineState.SHUTTING_DOWN))

    def _know_machines(self) -> None:
        for attempt in self.world.runs.attempts(RUN_ID):
            if attempt.instance_id is not None and attempt.instance_id not in self.machines:
                self.machines[attempt.instance_id] = Machine(attempt.number, attempt.instance_id)

    def _deliver(self, event: Event) -> None:
        match event:
            case MachineEvent():
                self.world.observe_machine(event)
            case CommandEvent():
                self.world.observe_command(event)
            case BusEvent():
                self.world.observe_agent(event)
            case ExecutionEvent():
                self.world.observe_execution(event)

    def _fire_schedule(self) -> None:
        due = self.world.schedules.times.get(RUN_ID)
        if due is not None and self.world.clock() >= due:
            del self.world.schedules.times[RUN_ID]
            self.world.stop_run(action="terminate")

    # -- what must hold ----------------------------------------------------------------------------------------

    def _check(self) -> None:
        run = self.world.run()
        if self.ended_as is not None:
            assert run == self.ended_as, "a terminal state changed"
        if run.status.is_terminal:
            self.ended_as = run
            going = set(self.world.machines.terminated)
            assert set(self.world.machines.alive) <= going, "a machine outlived its run"
            assert self.world.timeline().count(TimelineKind.CONCLUDED) == 1
        for attempt in self.world.runs.attempts(RUN_ID)[:-1]:
            handing_over = attempt.is_draining and not run.status.is_terminal
            assert attempt.reason is not None or handing_over, "an old attempt has no reason"


USUAL = ["boot", "start", "save", "tell", "tell", "time"]
TROUBLE = [
    *["fail", "leave", "warn", "take", "kill", "command fails", "silence", "tell and keep", "lose"],
    *["no capacity", "capacity", "slow goodbyes", "goodbye", "reap"],
]
ENDINGS = ["succeed", "stop", "stop now", "abort"]
HAPPENINGS = [*USUAL * 6, *TROUBLE * 2, *ENDINGS]


OPENINGS: list[list[str]] = [[], ["boot", "tell"], ["boot", "tell", "start", "tell", "save", "tell"]]
"""Histories begin anywhere, and often where there is something to lose."""


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([*OPENINGS, OPENINGS[-1]]),
    st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 5)), min_size=5, max_size=50),
)
def test_every_history_ends_once_with_one_training_at_a_time_and_no_machine_left(
    opening: list[str], happenings: list[tuple[str, int]]
) -> None:
    history = History()

    for what, which in [*((what, 0) for what in opening), *happenings]:
        history.happen(what, which)
    history.finish()

    run: Any = history.world.run()
    assert run.status.is_terminal
    assert run.status is not RunStatus.PENDING
    assert history.world.machines.alive == []
    told = [subject for subject, _ in history.world.notifications.sent if "the reaper" not in subject]
    assert 1 <= len(told) <= 2
