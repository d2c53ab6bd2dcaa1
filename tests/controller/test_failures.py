"""Failures of the training itself, and of the controller."""

import pytest

from runctl.errors import AwsError, AwsUnavailable, PermissionDenied, RunctlError
from runctl.model.agent_event import EndedWhy
from runctl.model.attempt import FactKind
from runctl.model.decision import StepState
from runctl.model.names import State
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason, RunStatus
from tests.controller.stages import get_ready, start, to_preparing, to_training, train
from tests.factories import RUN_ID, make_spec
from tests.fakes.world import World


def test_exit_code_3_is_the_users_failure_with_the_last_log_line() -> None:
    world = World()
    execution = to_training(world)

    world.observe_agent(world.says_ended(exit_code=3, last_lines=("could not read the labels",)))
    execution.advance()

    run, attempt = world.run(), world.attempt()
    assert execution.state is State.RUN_FAILED
    assert (run.status, run.reason) == (RunStatus.FAILED, Reason.USER_ERROR)
    assert (attempt.reason, attempt.exit_code) == (Reason.USER_ERROR, 3)
    assert "exit code 3" in run.message
    assert "could not read the labels" in run.message
    assert execution.data["conclusion"] == {"status": "FAILED", "reason": "USER_ERROR", "cause": run.message}
    assert world.machines.alive == []


@pytest.mark.parametrize(
    ("why", "exit_code", "status", "reason"),
    [
        (EndedWhy.SETUP_FAILED, None, RunStatus.FAILED, Reason.SETUP_FAILED),
        (EndedWhy.OUT_OF_MEMORY, 137, RunStatus.FAILED, Reason.OUT_OF_MEMORY),
        (EndedWhy.CHECKPOINT_MISSING, 0, RunStatus.FAILED, Reason.CHECKPOINT_MISSING),
        (EndedWhy.DEADLINE, 75, RunStatus.STOPPED, Reason.TIMEOUT),
    ],
)
def test_an_ending_that_nobody_retries_ends_the_run(
    why: EndedWhy, exit_code: int | None, status: RunStatus, reason: Reason
) -> None:
    world = World()
    execution = to_preparing(world)

    world.observe_agent(world.says_ended(why, exit_code))
    execution.advance()

    assert (world.run().status, world.run().reason) == (status, reason)
    assert len(world.runs.attempts(RUN_ID)) == 1


def test_a_failure_is_tried_again_when_the_spec_asks_and_on_another_machine() -> None:
    world = World()
    execution = to_training(world, spec=make_spec(retries=1))
    world.observe_agent(world.says_ended(exit_code=3))
    assert execution.advance() is State.WAIT_FOR_SSM
    get_ready(world, execution)
    train(world)

    world.observe_agent(world.says_ended(exit_code=4))
    execution.advance()

    assert [a.exit_code for a in world.runs.attempts(RUN_ID)] == [3, 4]
    assert world.run().reason is Reason.USER_ERROR
    assert len(world.machines.launched) == 2
    assert world.machines.alive == []


def test_leaving_unasked_three_times_is_no_progress() -> None:
    world = World()
    execution = to_training(world)
    for _ in range(2):
        world.observe_agent(world.says_ended(exit_code=75))
        assert execution.advance() is State.WAIT_FOR_SSM
        get_ready(world, execution)
        train(world)
    world.observe_agent(world.says_ended(exit_code=75))
    execution.advance()

    assert (world.run().status, world.run().reason) == (RunStatus.FAILED, Reason.NO_PROGRESS)
    assert len(world.runs.attempts(RUN_ID)) == 3


def test_a_start_command_that_fails_costs_the_machine_and_another_is_tried() -> None:
    world = World()
    execution = to_preparing(world)

    world.observe_command(world.command_event(world.machine(), "command-1", "DeliveryTimedOut"))
    state = execution.advance()

    assert state is State.WAIT_FOR_SSM
    assert world.attempt(1).reason is Reason.MACHINE_NOT_READY
    assert "DeliveryTimedOut" in world.attempt(1).evidence
    assert world.attempt(1).instance_id in world.machines.terminated


@pytest.mark.parametrize("status", ["Success", "InProgress", "Pending"])
def test_a_command_that_goes_well_is_no_fact(status: str) -> None:
    world = World()
    to_preparing(world)

    answer = world.observe_command(world.command_event(world.machine(), "command-1", status))

    assert answer["outcome"] == "stranger"
    assert FactKind.COMMAND_FAILED not in world.attempt().facts


def test_somebody_elses_command_on_the_machine_is_no_fact() -> None:
    world = World()
    to_preparing(world)

    world.observe_command(world.command_event(world.machine(), "command-of-another"))

    assert FactKind.COMMAND_FAILED not in world.attempt().facts


def test_a_machine_that_never_announces_itself_is_not_ready_and_three_end_the_run() -> None:
    world = World()
    execution = start(world)
    for _ in range(3):
        assert execution.advance() is State.WAIT_FOR_SSM
        world.clock.move(901)
    execution.advance()

    assert [a.reason for a in world.runs.attempts(RUN_ID)] == [Reason.MACHINE_NOT_READY] * 3
    assert (world.run().status, world.run().reason) == (RunStatus.FAILED, Reason.MACHINE_NOT_READY)
    assert "did not become reachable in time; EC2 says pending, SSM says not online" in world.run().message
    assert world.machines.alive == []


def test_a_fault_of_the_controller_is_called_one() -> None:
    world = World()
    world.machines.raises = [AwsError("EC2 said something new.", aws_code="SomethingNew")]
    execution = start(world)

    execution.advance()

    assert (world.run().status, world.run().reason) == (RunStatus.FAILED, Reason.CONTROLLER)
    assert "EC2 said something new." in world.run().message


def test_a_decision_that_fails_still_ends_the_run_with_what_failed() -> None:
    world = World()
    to_training(world)

    answer = world.conclude_run(
        StepState.model_validate({"run_id": RUN_ID, "error": {"Error": "KeyError", "Cause": '{"errorMessage": "x"}'}})
    )

    assert answer["reason"] == "CONTROLLER"
    assert "KeyError: x" in answer["cause"]
    assert world.machines.alive == []


def test_a_concluded_run_keeps_its_ending_whoever_concludes_again() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.says_ended(exit_code=3))
    execution.advance()
    before = world.run()

    again = world.conclude_run(StepState(run_id=RUN_ID, training={"exit_code": 0}))
    world.observe_execution(world.execution_event(ExecutionStatus.FAILED))
    world.stop_run()

    assert again["reason"] == "USER_ERROR"
    assert world.run() == before
    assert len(world.notifications.sent) == 1


def test_what_an_interrupted_conclusion_left_undone_is_done_by_the_next() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.says_ended())
    run = world.run()
    ended = run.model_copy(update={"status": RunStatus.SUCCEEDED, "reason": Reason.COMPLETED})
    world.runs.save_run(ended)

    execution.advance()

    assert execution.status is ExecutionStatus.SUCCEEDED
    assert world.machines.alive == []
    assert world.bucket.jobs == {}
    assert len(world.notifications.sent) == 1


def test_a_machine_that_never_announces_itself_tells_what_was_seen_of_it() -> None:
    world = World()
    world.machines.console = "cloud-init: running\nrunctl: fetching the agent: <urlopen error timed out>\n"
    execution = start(world)
    for _ in range(3):
        execution.advance()
        world.clock.move(901)
    execution.advance()

    evidence, message = world.attempt(1).evidence, world.run().message
    for said in (evidence, message):
        assert "EC2 says pending, SSM says not online." in said
        assert "It found no way to AWS over HTTPS" in said
        assert "fetching the agent: <urlopen error timed out>" in said


@pytest.mark.parametrize("fault", [PermissionDenied("GetConsoleOutput"), AwsUnavailable("EC2 does not answer.")])
def test_a_console_that_cannot_be_read_keeps_no_decision_waiting(fault: RunctlError) -> None:
    world = World()
    world.machines.console = fault
    execution = start(world)
    execution.advance()
    world.clock.move(901)
    execution.advance()

    assert world.attempt(1).reason is Reason.MACHINE_NOT_READY
    assert "console" not in world.attempt(1).evidence
