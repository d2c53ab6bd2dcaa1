"""Lost races: an observer looks again, a step lets the state machine try again, and nothing is lost or done twice."""

import pytest

from runctl.controller.stale import TRIES, until_written
from runctl.errors import StaleWriteError, Throttled
from runctl.model import timing
from runctl.model.attempt import FactKind
from runctl.model.decision import StepState
from runctl.model.ids import InstanceId, TaskToken
from runctl.model.machine import SPOT_TERMINATION
from runctl.model.names import State
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from tests.controller.stages import boot, get_ready, reasons, start, to_preparing, to_training, to_wait_for_ssm
from tests.factories import RUN_ID, after
from tests.fakes.state_machine import Execution
from tests.fakes.world import World


def disturb(world: World, method: str, times: int) -> None:
    """Let somebody else write the run and the attempt before each of the next calls of a method."""
    left = times

    def before(name: str) -> None:
        nonlocal left
        if name != method or left == 0:
            return
        left -= 1
        world.runs.before = None
        run = world.run()
        world.runs.save_run(run.model_copy(update={"updated_at": after(left)}))
        for attempt in world.runs.attempts(RUN_ID):
            world.runs.save_attempt(attempt)
        world.runs.before = before

    world.runs.before = before


def test_a_write_is_tried_again_a_few_times_and_then_the_race_is_let_out() -> None:
    calls = 0

    def always_stale() -> None:
        nonlocal calls
        calls += 1
        raise StaleWriteError("somebody else")

    with pytest.raises(StaleWriteError):
        until_written(always_stale)

    assert calls == TRIES


@pytest.mark.parametrize("method", ["save_attempt", "save_run"])
def test_an_observer_that_loses_a_race_looks_again(method: str) -> None:
    world = World()
    execution = to_preparing(world)
    disturb(world, method, TRIES - 1)

    world.observe_agent(world.says_started(resumed_from="k", resumed_from_step=1))
    disturb(world, method, TRIES - 1)
    world.machines.go(world.machine())
    world.observe_machine(world.state_change(world.machine()))
    world.runs.before = None

    attempt = world.attempt()
    assert world.run().status is RunStatus.RUNNING
    assert {FactKind.STARTED, FactKind.GONE} <= set(attempt.facts)
    assert attempt.gone_at is not None
    assert attempt.resumed_from_step == 1
    assert execution.advance() is State.WAIT_FOR_SSM


def test_a_step_that_loses_a_race_is_tried_again_by_the_state_machine() -> None:
    world = World()
    execution = start(world)
    disturb(world, "save_run", 2)

    assert execution.advance() is State.WAIT_FOR_SSM

    assert execution.retries == 2
    assert len(world.machines.launched) == 1


def test_an_observer_that_is_told_again_after_a_fault_finishes_what_it_began() -> None:
    """The fact was written and the function died before it reacted: Lambda invokes it again with the same event."""
    world = World()
    execution = to_training(world)
    event = world.says_ended()
    calls: list[str] = []

    def die_after_the_fact(method: str) -> None:
        calls.append(method)
        if calls[-2:-1] == ["record_fact"]:
            raise RuntimeError("the function ran out of time")

    world.runs.before = die_after_the_fact
    with pytest.raises(RuntimeError):
        world.observe_agent(event)
    world.runs.before = None
    assert execution.advance() is State.TRAIN
    world.observe_agent(event)

    assert execution.advance() is State.RUN_SUCCEEDED


@pytest.mark.parametrize("number", range(1, 30))
def test_a_conclusion_that_dies_anywhere_is_finished_by_the_next(number: int) -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.says_ended())
    calls = 0

    def die(_: str) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise RuntimeError("the function ran out of time")

    world.runs.before = die
    state = StepState.model_validate({**execution.data, "training": {"exit_code": 0}})
    try:
        world.conclude_run(state)
    except RuntimeError:
        world.runs.before = None
        world.conclude_run(state)
    world.runs.before = None

    assert world.run().status is RunStatus.SUCCEEDED
    assert world.machines.alive == []
    assert world.bucket.jobs == {}
    assert 1 <= len(world.notifications.sent) <= 2  # told at least once
    assert world.attempt().exit_code == 0


@pytest.mark.parametrize("number", range(1, 30))
def test_a_launch_that_dies_anywhere_launches_one_machine_in_the_end(number: int) -> None:
    world = World()
    world.submit()
    state = StepState(run_id=RUN_ID)
    world.admit_run(state)
    calls = 0

    def die(_: str) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise RuntimeError("the function ran out of time")

    world.runs.before = die
    try:
        world.launch_machine(state)
    except RuntimeError:
        world.runs.before = None
        world.launch_machine(state)
    world.runs.before = None

    assert len(world.machines.launched) == 1
    assert world.attempt().instance_id == world.machines.launched[0]


@pytest.mark.parametrize("number", range(1, 30))
def test_a_decision_that_dies_anywhere_begins_one_attempt_in_the_end(number: int) -> None:
    world = World()
    execution = to_training(world)
    world.machines.go(world.machine())
    world.observe_machine(world.state_change(world.machine()))
    state = StepState.model_validate(
        {**execution.data, "error": {"Error": "SpotInterruption", "Cause": "EC2 took it back."}}
    )
    calls = 0

    def die(_: str) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise RuntimeError("the function ran out of time")

    world.runs.before = die
    try:
        decision = world.decide_next(state)
    except RuntimeError:
        world.runs.before = None
        decision = world.decide_next(state)
    world.runs.before = None

    assert (decision["action"], decision["attempt"], decision["reason"]) == ("launch", 2, "SPOT_INTERRUPTION")
    assert len(world.runs.attempts(RUN_ID)) == 2


def test_the_state_machine_and_an_observer_may_conclude_at_the_same_time() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.says_ended(exit_code=3))

    def conclude_too(method: str) -> None:
        if method == "save_run":
            world.runs.before = None
            world.observe_execution(world.execution_event(ExecutionStatus.FAILED))

    world.runs.before = conclude_too
    execution.advance()

    assert world.run().status is RunStatus.FAILED
    assert world.timeline().count(TimelineKind.CONCLUDED) == 1
    assert len(world.notifications.sent) == 1


# -- a hand-over that is tried again: the state's token is a new one ----------------------------------------------


def begin_train_again(world: World, execution: Execution) -> TaskToken:
    """Let Step Functions try `Train` again after the command was sent: a new token, the same attempt."""
    token = world.tokens.hand_out(TaskToken("token-of-the-second-try"))
    world.start_training(StepState.model_validate(execution.data), token, "9")
    return token


def test_a_training_that_runs_already_is_not_shown_as_preparing_again() -> None:
    world = World()
    execution = to_training(world)

    begin_train_again(world, execution)

    assert world.run().status is RunStatus.RUNNING
    assert world.commands.verbs == ["start"]


def test_a_stop_that_could_not_be_passed_on_is_passed_on_by_the_next_try() -> None:
    """The start command was on its way when the stop was asked for, and SSM refused the stop that should follow it."""
    world = World()
    execution = to_wait_for_ssm(world)
    send, sends = world.commands.send, 0

    def ask_to_stop_during_the_start(instance_id: InstanceId, script: str, *, comment: str) -> str:
        nonlocal sends
        sends += 1
        if sends == 1:
            world.stop_run()
        if sends == 2:
            raise Throttled("SendCommand: rate exceeded")
        return send(instance_id, script, comment=comment)

    world.commands.send = ask_to_stop_during_the_start
    get_ready(world, execution)

    assert world.commands.verbs == ["start", "stop"]
    assert execution.retries == 1


# -- what is told only once ---------------------------------------------------------------------------------------


def test_that_ec2_was_asked_to_end_a_machine_is_told_once_however_often_it_is_asked() -> None:
    world = World()
    execution = to_training(world)
    world.machines.terminate_takes = True
    world.clock.move(901)

    execution.advance()

    assert world.machines.terminated.count(world.machine(1)) > 1
    assert world.timeline().count(TimelineKind.MACHINE_TERMINATED) == 1


# -- what EC2 shows a moment later --------------------------------------------------------------------------------


def test_why_a_machine_went_is_asked_again_when_ec2_did_not_show_it_yet() -> None:
    """The event overtook DescribeInstances, which is eventually consistent, and the warning was lost."""
    world = World()
    execution = to_training(world)
    world.observe_machine(world.state_change(world.machine()))
    world.machines.go(world.machine(), SPOT_TERMINATION)

    execution.advance()

    assert world.attempt(1).reason is Reason.SPOT_INTERRUPTION
    assert execution.state is State.WAIT_FOR_SSM


def test_an_execution_that_is_stopped_while_its_run_stops_stands_in_the_timeline() -> None:
    world = World()
    execution = to_training(world)
    world.stop_run()
    execution.abort()

    world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))
    world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))

    assert world.timeline().count(TimelineKind.EXECUTION_STOPPED) == 1


def test_asking_to_stop_again_does_not_give_the_training_more_time_to_save() -> None:
    world = World()
    execution = to_training(world)
    world.stop_run()
    fires_at = world.schedules.times[RUN_ID]
    world.clock.move(200)

    world.stop_run()
    execution.abort()
    world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))

    assert world.schedules.times[RUN_ID] == fires_at


def test_a_stop_that_is_passed_on_late_is_never_scheduled_in_the_past() -> None:
    world = World()
    to_training(world)
    world.stop_run()
    world.clock.move(4_000)

    world.stop_run()

    assert world.schedules.times[RUN_ID] >= world.clock() + timing.STOP_MARGIN


def test_somebody_elses_command_that_failed_before_the_start_does_not_hide_that_the_start_failed() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    world.observe_command(world.command_event(world.machine(), "somebody-elses"))
    get_ready(world, execution)

    world.observe_command(world.command_event(world.machine(), world.attempt().command_id or ""))
    execution.advance()

    assert world.attempt(1).reason is Reason.MACHINE_NOT_READY


def test_a_machine_that_is_ready_in_the_moment_in_which_the_waiting_ends_is_replaced() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    boot(world)
    world.clock.move(world.run().spec.ready_timeout_s)
    assert execution.token is not None
    world.tokens.expire(execution.token)
    world.observe_agent(world.says_ready())

    execution.advance()

    assert reasons(world)[0] is Reason.MACHINE_NOT_READY
    assert len(reasons(world)) == 2
