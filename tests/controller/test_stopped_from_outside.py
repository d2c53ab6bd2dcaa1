"""The execution is stopped in the console, runs out of time or breaks: the run is saved and concluded all the same."""

from collections.abc import Callable

import pytest

from runctl.model.agent_event import EndedWhy
from runctl.model.decision import StepState
from runctl.model.machine import SPOT_TERMINATION
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from tests.controller.stages import get_ready, start, to_training, to_wait_for_ssm
from tests.factories import RUN_ID
from tests.fakes.state_machine import Execution
from tests.fakes.world import World


def test_an_execution_stopped_in_the_console_saves_and_cancels() -> None:
    world = World()
    execution = to_training(world)
    execution.abort()

    world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))
    asked = world.run()
    world.observe_agent(world.saves(100))
    world.observe_agent(world.says_ended(EndedWhy.STOP, 75))

    assert (asked.status, asked.execution_ended) == (RunStatus.STOPPING, True)
    assert world.commands.verbs == ["start", "stop"]
    assert (world.run().status, world.run().reason) == (RunStatus.CANCELLED, Reason.CANCELLED)
    assert "step 100" in world.run().message
    assert world.machines.alive == []
    assert world.schedules.times == {}
    assert len(world.notifications.sent) == 1


@pytest.mark.parametrize(
    ("status", "reason", "ends_as"),
    [
        (ExecutionStatus.ABORTED, Reason.CANCELLED, RunStatus.CANCELLED),
        (ExecutionStatus.TIMED_OUT, Reason.TIMEOUT, RunStatus.STOPPED),
        (ExecutionStatus.FAILED, Reason.CONTROLLER, RunStatus.FAILED),
    ],
)
def test_the_machines_end_concludes_a_run_whose_execution_ended(
    status: ExecutionStatus, reason: Reason, ends_as: RunStatus
) -> None:
    world = World()
    to_training(world).abort()
    world.observe_execution(world.execution_event(status))

    world.machines.go(world.machine(), "Client.InstanceInitiatedShutdown")
    world.observe_machine(world.state_change(world.machine()))

    assert (world.run().status, world.run().reason) == (ends_as, reason)


def test_the_schedule_concludes_a_run_whose_execution_ended() -> None:
    world = World()
    to_training(world).abort()
    world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))

    world.clock.at = world.schedules.times[RUN_ID]
    world.stop_run(action="terminate")

    assert world.run().status is RunStatus.CANCELLED
    assert world.machines.alive == []


@pytest.mark.parametrize("stage", [start, to_wait_for_ssm])
def test_an_execution_that_ends_before_the_training_leaves_nothing_to_save(stage: Callable[[World], Execution]) -> None:
    world = World()
    execution = stage(world)
    execution.abort()

    answer = world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))

    assert answer["outcome"] == "concluded"
    assert world.run().status is RunStatus.CANCELLED
    assert world.machines.alive == []


def test_a_training_that_ended_just_before_its_execution_was_stopped_has_succeeded() -> None:
    world = World()
    execution = to_training(world)
    execution.abort()
    world.observe_agent(world.says_ended())

    world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))

    assert world.run().status is RunStatus.SUCCEEDED


def test_the_end_of_an_execution_told_twice_asks_once_and_moves_the_schedule() -> None:
    world = World()
    to_training(world).abort()

    for _ in range(2):
        world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))

    requests = [kind for kind in world.timeline() if kind is TimelineKind.EXECUTION_STOPPED]
    assert len(requests) == 1
    assert list(world.schedules.times) == [RUN_ID]


@pytest.mark.parametrize("status", [ExecutionStatus.SUCCEEDED, ExecutionStatus.RUNNING])
def test_an_execution_that_goes_on_or_ended_well_is_left_alone(status: ExecutionStatus) -> None:
    world = World()
    to_training(world)
    before = world.run()

    world.observe_execution(world.execution_event(status))

    assert world.run() == before


def test_a_conclusion_that_failed_is_made_up_for() -> None:
    """`Conclude run` itself failed, so the execution FAILED with the run still open."""
    world = World()
    execution = to_training(world)
    world.observe_agent(world.says_ended(exit_code=3))
    execution.abort()
    world.decide_next(
        StepState.model_validate({**execution.data, "error": {"Error": "UserError", "Cause": "exit code 3"}})
    )

    world.observe_execution(world.execution_event(ExecutionStatus.FAILED))

    assert (world.run().status, world.run().reason) == (RunStatus.FAILED, Reason.USER_ERROR)


def test_the_end_of_an_old_machine_does_not_conclude_a_run_that_still_saves() -> None:
    world = World()
    execution = to_training(world)
    world.observe_machine(world.warning(world.machine()))
    world.observe_agent(world.says_ended(EndedWhy.NOTICE, 75))
    execution.advance()
    get_ready(world, execution)
    execution.abort()
    world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))

    world.machines.go(world.machine(1), SPOT_TERMINATION)
    world.observe_machine(world.state_change(world.machine(1)))
    saving = world.run().status
    world.observe_agent(world.says_ended(EndedWhy.STOP, 75))

    assert saving is RunStatus.STOPPING
    assert world.run().status is RunStatus.CANCELLED
