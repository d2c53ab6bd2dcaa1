"""A spot machine is taken back at each stage of a run."""

import pytest

from runctl.model.agent_event import EndedWhy
from runctl.model.attempt import FactKind
from runctl.model.names import State
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from tests.controller.stages import (
    finish,
    get_ready,
    go,
    reasons,
    start,
    take_back,
    to_preparing,
    to_training,
    to_wait_for_ssm,
    train,
)
from tests.factories import RUN_ID
from tests.fakes.world import World


def test_an_interrupted_training_saves_and_resumes_on_another_machine_in_another_pool() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.saves(100))
    world.observe_machine(world.warning(world.machine()))
    assert execution.advance() is State.WAIT_FOR_SSM
    recovering = world.run()

    world.clock.move(10)
    world.observe_agent(world.saves(140, number=1))
    world.observe_agent(world.says_ended(EndedWhy.NOTICE, 75, number=1))
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
    assert execution.advance() is State.WAIT_FOR_SSM
    assert TimelineKind.REBALANCE in world.timeline()


def test_a_warning_that_ssm_cannot_pass_on_is_still_a_fact() -> None:
    world = World()
    to_training(world)
    world.commands.online.clear()

    world.observe_machine(world.warning(world.machine()))

    assert FactKind.WARNED in world.attempt().facts
