"""A spot machine is taken back, or dies, at each stage of a run."""

import pytest

from runctl.model.agent_event import EndedWhy
from runctl.model.attempt import FactKind
from runctl.model.decision import StepState
from runctl.model.ids import InstanceId
from runctl.model.machine import MachineState
from runctl.model.names import State
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from tests.controller.stages import get_ready, start, to_preparing, to_training, to_wait_for_ssm, train
from tests.factories import RUN_ID, make_spec
from tests.fakes.state_machine import Execution
from tests.fakes.world import World


def take_back(world: World) -> None:
    """EC2 warns, and two minutes later the machine goes."""
    world.observe_machine(world.warning(world.machine()))
    world.clock.move(120)
    go(world)


def go(world: World, number: int = 0) -> None:
    """EC2 takes an attempt's machine."""
    world.machines.go(world.machine(number))
    world.observe_machine(world.state_change(world.machine(number)))


def finish(world: World, execution: Execution) -> None:
    """Bring the current attempt to success."""
    get_ready(world, execution)
    train(world)
    world.observe_agent(world.says_ended())
    execution.advance()
    assert execution.status is ExecutionStatus.SUCCEEDED


def reasons(world: World) -> list[Reason | None]:
    """Why each attempt ended."""
    return [attempt.reason for attempt in world.runs.attempts(RUN_ID)]


# -- at each stage -----------------------------------------------------------------------------------------------


def test_an_interrupted_training_saves_and_resumes_on_another_machine_in_another_pool() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.saves(100))
    world.observe_machine(world.warning(world.machine()))
    assert execution.advance() is State.TRAIN

    world.clock.move(10)
    world.observe_agent(world.saves(140))
    world.observe_agent(world.says_ended(EndedWhy.NOTICE, 75))
    assert execution.advance() is State.WAIT_FOR_SSM
    recovering = world.run()
    go(world, number=1)
    get_ready(world, execution)
    job = world.bucket.jobs[world.machine()]
    train(world, resumed_from=job.resume_points[0].manifest_key, resumed_from_step=140)
    world.observe_agent(world.says_ended())
    execution.advance()

    assert recovering.attempt == 2
    assert reasons(world) == [Reason.SPOT_INTERRUPTION, Reason.COMPLETED]
    assert [point.step for point in job.resume_points] == [140, 100]
    assert job.resume_points[0].manifest_key.startswith(f"runs/{RUN_ID}/attempts/0001/")
    assert world.attempt(2).resumed_from_step == 140
    assert world.attempt(1).availability_zone != world.attempt(2).availability_zone
    assert world.run().status is RunStatus.SUCCEEDED


def test_an_interruption_adds_at_most_15_transitions() -> None:
    clean, interrupted = World(), World()
    first, second = to_training(clean), to_training(interrupted)
    clean.observe_agent(clean.says_ended())
    first.advance()
    interrupted.observe_machine(interrupted.warning(interrupted.machine()))
    interrupted.observe_agent(interrupted.says_ended(EndedWhy.NOTICE, 75))
    second.advance()
    finish(interrupted, second)

    assert first.transitions <= 25
    assert 0 < second.transitions - first.transitions <= 15


def test_a_warned_machine_that_saved_is_left_to_ec2_and_not_ended_by_us() -> None:
    world = World()
    execution = to_training(world)
    first = world.machine()
    world.observe_machine(world.warning(first))

    world.observe_agent(world.says_ended(EndedWhy.NOTICE, 75))
    execution.advance()

    assert world.machines.terminated == []
    assert first in world.machines.alive
    assert len(world.machines.alive) == 2


@pytest.mark.parametrize("announced", [True, False])
def test_a_machine_taken_back_while_it_boots_is_an_interruption(announced: bool) -> None:
    world = World()
    execution = to_wait_for_ssm(world)

    if announced:
        take_back(world)
    else:
        go(world)
    assert execution.advance() is State.WAIT_FOR_SSM
    finish(world, execution)

    assert reasons(world) == [Reason.SPOT_INTERRUPTION, Reason.COMPLETED]


def test_a_machine_that_is_warned_while_it_boots_is_given_up_at_once() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    first = world.machine()

    world.observe_machine(world.warning(first))
    execution.advance()

    assert world.run().attempt == 2
    assert world.machines.terminated == [first]


def test_a_machine_whose_end_nobody_heard_of_is_found_when_it_is_waited_for() -> None:
    world = World()
    execution = start(world)

    def go_unheard(state: State) -> None:
        if state is State.WAIT_FOR_SSM and world.run().attempt == 1:
            world.machines.go(world.machine())

    execution.before = go_unheard
    execution.advance()
    finish(world, execution)

    assert reasons(world) == [Reason.SPOT_INTERRUPTION, Reason.COMPLETED]


def test_a_machine_taken_back_during_the_set_up_is_an_interruption() -> None:
    world = World()
    execution = to_preparing(world)

    world.observe_machine(world.warning(world.machine()))
    world.observe_agent(world.says_ended(EndedWhy.NOTICE, None, started=False))
    assert execution.advance() is State.WAIT_FOR_SSM
    finish(world, execution)

    assert reasons(world) == [Reason.SPOT_INTERRUPTION, Reason.COMPLETED]


def test_a_machine_that_goes_without_a_word_of_its_agent_is_replaced() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.saves(100))

    take_back(world)
    assert execution.advance() is State.WAIT_FOR_SSM
    finish(world, execution)

    assert reasons(world) == [Reason.SPOT_INTERRUPTION, Reason.COMPLETED]


def test_a_training_that_finishes_within_the_notice_has_succeeded() -> None:
    world = World()
    execution = to_training(world)
    world.observe_machine(world.warning(world.machine()))

    world.observe_agent(world.says_ended(EndedWhy.NOTICE, 0))
    execution.advance()

    assert execution.status is ExecutionStatus.SUCCEEDED
    assert reasons(world) == [Reason.COMPLETED]


def test_a_success_in_the_bucket_counts_though_the_machine_was_gone_before_its_event() -> None:
    world = World()
    execution = to_training(world)
    late = world.says_ended()
    world.bucket.markers[world.machine()] = late.detail

    go(world)
    execution.advance()
    world.observe_agent(late)

    assert reasons(world) == [Reason.COMPLETED]
    assert world.run().status is RunStatus.SUCCEEDED


def test_a_marker_that_is_not_signed_with_the_attempts_secret_counts_for_nothing() -> None:
    world = World()
    execution = to_training(world)
    world.bucket.markers[world.machine()] = {**world.says_ended().detail, "signature": "0" * 64}

    go(world)
    execution.advance()

    assert world.attempt(1).reason is Reason.SPOT_INTERRUPTION


def test_the_agent_is_told_of_a_warning_once_and_a_rebalance_changes_nothing() -> None:
    world = World()
    execution = to_training(world)
    machine = world.machine()

    world.observe_machine(world.rebalance(machine))
    world.observe_machine(world.warning(machine))
    world.observe_machine(world.warning(machine))

    assert world.commands.verbs == ["start", "notice"]
    assert execution.advance() is State.TRAIN
    assert TimelineKind.REBALANCE in world.timeline()


def test_a_warning_that_ssm_cannot_pass_on_is_still_a_fact() -> None:
    world = World()
    to_training(world)
    world.commands.online.clear()

    world.observe_machine(world.warning(world.machine()))

    assert FactKind.WARNED in world.attempt().facts


# -- machines that die -------------------------------------------------------------------------------------------


def test_a_machine_killed_from_outside_is_lost_and_replaced() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.saves(100))

    world.machines.go(world.machine(), "Client.UserInitiatedShutdown", "User initiated")
    world.observe_machine(world.state_change(world.machine()))
    assert execution.advance() is State.WAIT_FOR_SSM
    finish(world, execution)

    assert reasons(world) == [Reason.MACHINE_LOST, Reason.COMPLETED]
    assert "Client.UserInitiatedShutdown" in world.attempt(1).evidence


def test_a_stopped_machine_is_gone_and_terminated() -> None:
    world = World()
    execution = to_training(world)
    first = world.machine()

    world.machines.go(first, "Client.UserInitiatedShutdown", state=MachineState.STOPPING)
    world.observe_machine(world.state_change(first, MachineState.STOPPING))
    execution.advance()
    finish(world, execution)

    assert reasons(world)[0] is Reason.MACHINE_LOST
    assert first in world.machines.terminated


@pytest.mark.parametrize("state", [MachineState.PENDING, MachineState.RUNNING])
def test_a_machine_that_comes_up_is_no_fact(state: MachineState) -> None:
    world = World()
    to_wait_for_ssm(world)

    world.observe_machine(world.state_change(world.machine(), state))

    assert world.attempt().facts == {}


def test_three_lost_machines_in_a_row_end_the_run() -> None:
    world = World()
    execution = to_training(world)
    for n in range(3):
        world.observe_agent(world.saves(100 * (n + 1)))
        world.machines.go(world.machine(), "Server.InternalError")
        world.observe_machine(world.state_change(world.machine()))
        if execution.advance() is State.WAIT_FOR_SSM:
            get_ready(world, execution)
            train(world)

    assert reasons(world) == [Reason.MACHINE_LOST] * 3
    assert (world.run().status, world.run().reason) == (RunStatus.FAILED, Reason.MACHINE_LOST)


def test_a_silent_machine_is_asked_for_ended_and_replaced_only_when_it_goes() -> None:
    world = World()
    execution = to_training(world)
    first = world.machine()
    world.machines.terminate_takes = True
    machines_at_each_try: list[int] = []

    def go_at_last(state: State) -> None:
        if state is State.DECIDE_WHAT_NEXT:
            machines_at_each_try.append(len(world.machines.launched))
            if len(machines_at_each_try) == 4:
                world.machines.finish_terminating()

    execution.before = go_at_last
    world.clock.move(901)
    assert execution.advance() is State.WAIT_FOR_SSM

    assert machines_at_each_try == [1, 1, 1, 1]
    assert world.attempt(1).reason is Reason.MACHINE_LOST
    assert "sent no heartbeat any more; EC2 says running, SSM says online" in world.attempt(1).evidence
    assert first in world.machines.terminated


def test_a_machine_that_ec2_never_lets_go_ends_the_run_by_a_fault_and_not_by_the_interruption() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    world.machines.terminate_takes = True
    world.observe_machine(world.warning(world.machine()))

    execution.advance()

    assert world.attempt(1).reason is Reason.SPOT_INTERRUPTION
    assert (world.run().status, world.run().reason) == (RunStatus.FAILED, Reason.CONTROLLER)
    assert "No other machine followed: EC2 does not yet say that" in world.run().message


def test_the_end_that_we_asked_for_ourselves_does_not_change_the_reason() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    world.machines.terminate_takes = True

    def go_at_last(state: State) -> None:
        if state is State.DECIDE_WHAT_NEXT and world.machines.terminated:
            world.machines.finish_terminating()

    execution.before = go_at_last
    world.clock.move(901)
    execution.advance()

    assert execution.data["decision"]["reason"] == "MACHINE_NOT_READY"
    assert world.attempt(1).reason is Reason.MACHINE_NOT_READY


def test_a_machine_that_ec2_has_forgotten_is_not_waited_for() -> None:
    world = World()
    execution = to_training(world)
    world.machines.forget_all()

    world.clock.move(901)

    assert execution.advance() is State.WAIT_FOR_SSM


def to_second_machine_without_the_event_of_the_firsts_end(world: World) -> Execution:
    """The first machine was warned, saved, and went; EC2's event of its end was lost."""
    execution = to_second_attempt(world)
    world.machines.go(world.machine(1), state=MachineState.TERMINATED)
    return execution


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_machine_that_went_unheard_long_ago_does_not_keep_its_run_from_ending(is_forgotten: bool) -> None:
    """EC2 takes the tags off a terminated machine, and may no longer be asked to end it: there is no right to."""
    world = World()
    execution = to_second_machine_without_the_event_of_the_firsts_end(world)
    first = world.machine(1)
    if is_forgotten:
        world.machines.forget(first)
    else:
        world.machines.lose_tags(first)
    world.clock.move(3_600)

    world.observe_agent(world.says_ended())
    execution.advance()

    assert world.run().status is RunStatus.SUCCEEDED
    assert first not in world.machines.terminated
    assert world.machines.alive == []


def test_a_machine_that_is_not_visible_yet_is_ended_when_it_is() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    hidden = world.machines.forget(world.machine())
    world.stop_run()

    def show(state: State) -> None:
        if state is State.CONCLUDE_RUN and execution.retries:
            world.machines.add(hidden)

    execution.before = show
    execution.advance()

    assert execution.retries == 1
    assert world.run().status is RunStatus.CANCELLED
    assert world.machines.alive == []


def test_the_deadline_is_the_agents_and_the_state_machine_is_the_second_line() -> None:
    world = World()
    execution = to_training(world, spec=make_spec(max_runtime_s=600))
    assert execution.data["train_timeout_s"] == 600 + 3_600 + 300

    execution.timeout_error = "States.Timeout"
    world.clock.move(4_501)
    execution.advance()

    assert (world.run().status, world.run().reason) == (RunStatus.STOPPED, Reason.TIMEOUT)
    assert world.machines.alive == []


# -- facts of an old attempt -------------------------------------------------------------------------------------


def to_second_attempt(world: World) -> Execution:
    """Bring a run to its second attempt's training; the first machine saved and is about to go."""
    execution = to_training(world)
    world.observe_machine(world.warning(world.machine()))
    world.observe_agent(world.says_ended(EndedWhy.NOTICE, 75))
    assert execution.advance() is State.WAIT_FOR_SSM
    get_ready(world, execution)
    train(world)
    return execution


def test_facts_of_an_old_attempt_never_touch_the_current_one() -> None:
    world = World()
    execution = to_second_attempt(world)
    before = world.run()

    go(world, number=1)
    world.observe_agent(world.says_ended(exit_code=3, number=1))
    world.observe_agent(world.says_started(number=1))
    world.observe_agent(world.saves(999, number=1))
    world.observe_command(world.command_event(world.machine(1), "command-1"))
    world.observe_machine(world.rebalance(world.machine(1)))

    assert execution.advance() is State.TRAIN
    assert world.run() == before
    assert world.attempt(2).reason is None
    assert reasons(world) == [Reason.SPOT_INTERRUPTION, None]


def test_late_evidence_of_an_old_attempt_stands_in_the_timeline() -> None:
    world = World()
    execution = to_training(world)
    take_back(world)
    execution.advance()

    world.observe_agent(world.says_ended(EndedWhy.NOTICE, 75, number=1))

    late = [event for event in world.runs.events(RUN_ID) if event.kind is TimelineKind.LATE_EVIDENCE]
    assert [event.attempt for event in late] == [1]
    assert FactKind.ENDED in world.attempt(1).facts
    assert world.attempt(1).reason is Reason.SPOT_INTERRUPTION


def test_evidence_after_the_end_of_the_run_changes_nothing_but_the_timeline() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.says_ended(exit_code=3))
    execution.advance()
    before = world.run()

    world.observe_machine(world.warning(world.machine()))
    world.observe_agent(world.saves(999))
    world.clock.move(5)
    world.observe_machine(world.state_change(world.machine()))

    assert world.run() == before
    assert world.attempt().gone_at == world.clock()
    assert world.attempt().reason is Reason.USER_ERROR


def test_the_decision_made_twice_is_the_same_decision() -> None:
    world = World()
    execution = to_training(world)
    go(world)
    state = StepState.model_validate(
        {**execution.data, "error": {"Error": "SpotInterruption", "Cause": "EC2 took it back."}}
    )

    first = world.decide_next(state)
    second = world.decide_next(state)

    assert (first["action"], first["attempt"]) == (second["action"], second["attempt"]) == ("launch", 2)
    assert len(world.runs.attempts(RUN_ID)) == 2


def test_the_runtime_of_earlier_attempts_is_taken_off_the_next_ones() -> None:
    world = World()
    execution = to_training(world, spec=make_spec(max_runtime_s=600))
    world.clock.move(140)
    world.observe_agent(world.saves(100))
    go(world)
    execution.advance()

    get_ready(world, execution)

    assert world.bucket.jobs[world.machine()].max_runtime_s == 400


def test_a_stranger_among_the_accounts_machines_costs_one_look() -> None:
    world = World()
    calls: list[str] = []
    world.runs.before = calls.append

    answer = world.observe_machine(world.warning(InstanceId("i-0000000000000beef")))

    assert answer["outcome"] == "stranger"
    assert calls == ["attempt_of_machine"]
