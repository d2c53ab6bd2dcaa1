"""A machine that is being taken back hands its run over to another one: each case of DESIGN's hand-over."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from runctl.errors import Throttled
from runctl.model.agent_event import EndedWhy
from runctl.model.attempt import FactKind
from runctl.model.decision import StepState
from runctl.model.names import State
from runctl.model.run import Run
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from tests.controller.stages import (
    finish,
    get_ready,
    go,
    may_train,
    reasons,
    to_fence,
    to_training,
    train,
    wait_at_fence,
)
from tests.factories import RUN_ID, make_spec
from tests.fakes.world import World


def saves_and_leaves(world: World) -> None:
    world.observe_agent(world.says_ended(EndedWhy.NOTICE, 75, number=1))


def goes(world: World) -> None:
    go(world, number=1)


def goes_unheard(world: World) -> None:
    world.machines.go(world.machine(1))
    wait_at_fence(world)


def leaves_a_marker_only(world: World) -> None:
    world.bucket.markers[world.machine(1)] = world.says_ended(EndedWhy.NOTICE, 75, number=1).detail
    wait_at_fence(world)


def outlives_its_notice(world: World) -> None:
    world.clock.move(180)
    wait_at_fence(world)


OUT = [saves_and_leaves, goes, goes_unheard, leaves_a_marker_only, outlives_its_notice]


def test_a_warning_requests_the_replacement_at_once_while_the_old_machine_trains_on() -> None:
    world = World()
    execution = to_training(world)
    warned_at = world.clock()

    world.observe_machine(world.warning(world.machine()))
    assert execution.advance() is State.WAIT_FOR_SSM

    assert world.attempt(2).launched_at == warned_at
    assert world.attempt(1).reason is None
    assert world.attempt(1).hands_over
    assert world.machines.terminated == []
    assert len(world.machines.alive) == 2


@pytest.mark.parametrize("is_out", OUT)
def test_the_new_machine_trains_only_when_the_old_one_is_out(is_out: Callable[[World], None]) -> None:
    world = World()
    execution = to_fence(world)
    before = may_train(world)

    is_out(world)

    assert not before
    assert may_train(world)
    assert world.attempt(1).reason is Reason.SPOT_INTERRUPTION
    assert FactKind.FENCE_OPENED in world.attempt(2).facts
    assert execution.advance() is State.TRAIN
    assert world.timeline().count(TimelineKind.HANDED_OVER) == 1


def test_a_machine_that_outlives_its_notice_is_ended_before_another_one_trains() -> None:
    world = World()
    to_fence(world)
    first = world.machine(1)

    world.clock.move(100)
    wait_at_fence(world)
    during_the_notice = may_train(world), list(world.machines.terminated)
    outlives_its_notice(world)

    assert during_the_notice == (False, [])
    assert first not in world.machines.alive
    assert may_train(world)


def test_the_new_machine_resumes_from_what_the_old_one_saved_during_its_notice() -> None:
    world = World()
    execution = to_fence(world)
    world.observe_agent(world.saves(140, number=1))
    world.observe_agent(world.saves(160, number=1))

    saves_and_leaves(world)
    points = world.bucket.gos[world.machine(2)].resume_points
    train(world, resumed_from=points[0].manifest_key, resumed_from_step=160)
    world.observe_agent(world.says_ended())
    execution.advance()

    assert [point.step for point in points] == [160, 140]
    assert world.bucket.jobs == {}
    assert world.bucket.gos == {}
    assert reasons(world) == [Reason.SPOT_INTERRUPTION, Reason.COMPLETED]
    assert world.attempt(2).resumed_from_step == 160


def test_checkpoints_of_the_notice_count_until_the_fence_opens_and_never_after() -> None:
    world = World()
    to_fence(world)

    world.observe_agent(world.saves(140, number=1))
    during = world.run().checkpoint
    saves_and_leaves(world)
    late = world.saves(900, number=1)
    world.observe_agent(late)

    assert during is not None and during.step == 140
    assert world.run().checkpoint == during
    assert world.run().hand_over_from is None


def test_the_old_machine_is_told_when_the_new_one_waits_for_it() -> None:
    world = World()
    to_fence(world)

    word = world.bucket.replacements[world.machine(1)]

    assert word.attempt == 2
    assert set(world.bucket.replacements) == {world.machine(1)}


def test_a_training_that_finishes_in_the_notice_ends_the_run_and_releases_the_new_machine() -> None:
    world = World()
    execution = to_fence(world)

    world.observe_agent(world.says_ended(EndedWhy.EXITED, 0, number=1))
    execution.advance()

    assert execution.status is ExecutionStatus.SUCCEEDED
    assert world.run().status is RunStatus.SUCCEEDED
    assert reasons(world) == [Reason.COMPLETED, Reason.COMPLETED]
    assert world.attempt(1).exit_code == 0
    assert "not needed" in world.attempt(2).evidence
    assert world.machines.alive == []


@pytest.mark.parametrize("stage", ["requested", "ready", "no capacity"])
def test_a_training_that_finishes_before_the_new_machine_is_ready_ends_the_run_all_the_same(stage: str) -> None:
    world = World()
    execution = to_training(world)
    if stage == "no capacity":
        world.machines.refusals["t3.micro"] = "InsufficientInstanceCapacity"
    world.observe_machine(world.warning(world.machine()))
    execution.advance()
    if stage == "ready":
        get_ready(world, execution)

    world.observe_agent(world.says_ended(EndedWhy.EXITED, 0, number=1))
    ended = world.run()
    world.clock.move(900)
    execution.advance()

    assert execution.status is ExecutionStatus.SUCCEEDED
    assert world.run().status is RunStatus.SUCCEEDED
    assert stage != "no capacity" or ended.status is RunStatus.SUCCEEDED
    assert world.machines.alive == []


def test_a_success_that_is_told_after_the_fence_was_opened_is_late_evidence() -> None:
    world = World()
    execution = to_fence(world)
    late = world.says_ended(EndedWhy.EXITED, 0, number=1)
    goes(world)

    world.observe_agent(late)

    assert execution.advance() is State.TRAIN
    assert world.attempt(1).reason is Reason.SPOT_INTERRUPTION
    assert TimelineKind.LATE_EVIDENCE in world.timeline()


def test_a_training_that_fails_by_itself_in_the_notice_fails_the_run() -> None:
    world = World()
    execution = to_fence(world)

    world.observe_agent(world.says_ended(EndedWhy.EXITED, 3, number=1))
    execution.advance()

    assert world.run().reason is Reason.USER_ERROR
    assert world.attempt(1).exit_code == 3
    assert world.machines.alive == []


def test_a_training_that_fails_by_itself_in_the_notice_is_tried_again_as_often_as_was_asked() -> None:
    world = World()
    execution = to_fence(world, spec=make_spec(retries=1))

    world.observe_agent(world.says_ended(EndedWhy.EXITED, 3, number=1))
    assert execution.advance() is State.TRAIN

    assert may_train(world)
    assert world.attempt(1).reason is Reason.USER_ERROR


def test_an_old_machine_that_dies_without_saving_hands_over_what_was_saved_before() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.saves(100))
    world.observe_machine(world.warning(world.machine()))
    execution.advance()
    get_ready(world, execution)
    wait_at_fence(world)

    goes(world)

    (point,) = world.bucket.gos[world.machine(2)].resume_points
    assert point.step == 100


def test_without_any_checkpoint_the_new_machine_begins_anew() -> None:
    world = World()
    to_fence(world)

    goes(world)

    assert world.bucket.gos[world.machine(2)].resume_points == ()


def test_an_old_machine_that_left_before_the_new_one_was_ready_needs_no_fence() -> None:
    world = World()
    execution = to_training(world)
    world.observe_machine(world.warning(world.machine()))
    execution.advance()
    world.observe_agent(world.saves(120, number=1))
    saves_and_leaves(world)

    get_ready(world, execution)

    job = world.bucket.jobs[world.machine(2)]
    assert not job.must_fence
    assert [point.step for point in job.resume_points] == [120]
    assert world.run().hand_over_from is None


def test_a_replacement_that_is_interrupted_too_is_replaced_while_the_first_trains_on() -> None:
    world = World()
    execution = to_fence(world)

    world.observe_machine(world.warning(world.machine(2)))
    assert execution.advance() is State.WAIT_FOR_SSM
    world.observe_agent(world.says_ended(EndedWhy.NOTICE, None, number=2, started=False))
    get_ready(world, execution)
    wait_at_fence(world)
    before = may_train(world)
    world.observe_agent(world.saves(150, number=1))
    saves_and_leaves(world)

    assert not before
    assert world.bucket.replacements[world.machine(1)].attempt == 3
    assert [point.step for point in world.bucket.gos[world.machine(3)].resume_points] == [150]
    train(world)
    world.observe_agent(world.says_ended())
    execution.advance()
    assert reasons(world) == [Reason.SPOT_INTERRUPTION, Reason.SPOT_INTERRUPTION, Reason.COMPLETED]


def test_a_replacement_lost_at_its_fence_is_replaced_and_the_first_may_still_finish() -> None:
    world = World()
    execution = to_fence(world)

    go(world, number=2)
    assert execution.advance() is State.WAIT_FOR_SSM
    world.observe_agent(world.says_ended(EndedWhy.EXITED, 0, number=1))
    execution.advance()

    assert execution.status is ExecutionStatus.SUCCEEDED
    assert reasons(world) == [Reason.COMPLETED, Reason.SPOT_INTERRUPTION, Reason.COMPLETED]
    assert world.machines.alive == []


def test_a_quota_for_one_machine_waits_until_the_old_one_is_gone_and_tries_once_more() -> None:
    world = World()
    execution = to_training(world)
    world.machines.refusals["t3.micro"] = "MaxSpotInstanceCountExceeded"
    world.observe_machine(world.warning(world.machine()))

    assert execution.advance() is State.WAIT_FOR_CAPACITY
    world.observe_agent(world.saves(130, number=1))
    saves_and_leaves(world)
    world.clock.move(120)
    goes(world)
    world.machines.refusals.clear()
    world.clock.move(60)
    assert execution.advance() is State.WAIT_FOR_SSM
    finish(world, execution)

    assert reasons(world) == [Reason.SPOT_INTERRUPTION, Reason.COMPLETED]


def test_a_quota_that_stays_full_when_the_old_machine_is_gone_ends_the_run() -> None:
    world = World()
    execution = to_training(world)
    world.machines.refusals["t3.micro"] = "MaxSpotInstanceCountExceeded"
    world.observe_machine(world.warning(world.machine()))
    execution.advance()
    world.clock.move(125)
    goes(world)

    world.clock.move(60)
    execution.advance()

    assert world.run().reason is Reason.QUOTA
    assert reasons(world) == [Reason.SPOT_INTERRUPTION, Reason.QUOTA]


def test_a_cancel_while_handing_over_lets_the_old_machine_save_first() -> None:
    world = World()
    execution = to_fence(world)

    tries: list[RunStatus] = []

    def save_meanwhile(state: State) -> None:
        tries.append(world.run().status)
        if state is State.DECIDE_WHAT_NEXT and len(tries) == 4:
            world.observe_agent(world.saves(170, number=1))
            world.observe_agent(world.says_ended(EndedWhy.STOP, 75, number=1))

    world.stop_run()
    world.observe_agent(world.says_ended(EndedWhy.STOP, None, number=2, started=False))
    execution.before = save_meanwhile
    execution.advance()

    assert world.commands.verbs.count("stop") == 2
    assert len(tries) >= 4
    assert set(tries) == {RunStatus.STOPPING}
    assert world.run().status is RunStatus.CANCELLED
    checkpoint = world.run().checkpoint
    assert checkpoint is not None and checkpoint.step == 170
    assert world.machines.alive == []
    assert FactKind.FENCE_OPENED not in world.attempt(2).facts


def test_a_cancel_now_while_handing_over_ends_both_machines_at_once() -> None:
    world = World()
    execution = to_fence(world)

    world.stop_run(now=True)
    execution.advance()

    assert world.run().status is RunStatus.CANCELLED
    assert world.machines.alive == []
    assert reasons(world) == [Reason.CANCELLED, Reason.CANCELLED]


def test_an_execution_stopped_while_handing_over_saves_on_the_old_machine_and_concludes() -> None:
    world = World()
    execution = to_fence(world)

    execution.abort()
    world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))
    world.observe_agent(world.says_ended(EndedWhy.STOP, None, number=2, started=False))
    between = world.run().status
    world.observe_agent(world.says_ended(EndedWhy.STOP, 75, number=1))

    assert between is RunStatus.STOPPING
    assert world.run().status is RunStatus.CANCELLED
    assert world.machines.alive == []


def test_a_warned_machine_that_a_user_gave_is_not_replaced_and_saves() -> None:
    world = World()
    execution = to_training(world)
    given = world.machine()
    run = world.run()
    world.runs.save_run(run.model_copy(update={"machine": given}))

    world.observe_machine(world.warning(given))

    assert execution.advance() is State.TRAIN


def test_the_hand_over_is_repeated_without_harm() -> None:
    world = World()
    to_fence(world)
    saves_and_leaves(world)
    first = world.bucket.gos[world.machine(2)]
    writes = world.timeline()

    wait_at_fence(world)
    saves_and_leaves(world)
    goes(world)

    assert world.bucket.gos[world.machine(2)] == first
    assert world.timeline().count(TimelineKind.HANDED_OVER) == writes.count(TimelineKind.HANDED_OVER) == 1


def test_a_hand_over_that_broke_off_at_any_line_is_finished_by_the_next_word() -> None:
    at = 0
    while True:
        world = World()
        to_fence(world)
        world.bucket.markers[world.machine(1)] = world.says_ended(EndedWhy.NOTICE, 75, number=1).detail
        calls = 0

        def before(method: str, world: World = world, at: int = at) -> None:
            nonlocal calls
            if calls == at:
                world.runs.before = None
                raise KeyboardInterrupt(method)
            calls += 1

        world.runs.before = before
        try:
            saves_and_leaves(world)
        except KeyboardInterrupt:
            wait_at_fence(world)
            assert may_train(world), at
            assert world.attempt(1).reason is Reason.SPOT_INTERRUPTION, at
        else:
            break
        at += 1
    assert at >= 8


def test_wait_for_the_old_machines_end_is_waited_though_who_decided_it_was_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    to_training(world, spec=make_spec(max_cost_usd=Decimal("0.02"), save_limit_s=1))
    world.clock.move(1_040)  # what is left pays for another machine, and not for two at once
    world.observe_machine(world.warning(world.machine()))
    state = StepState(run_id=RUN_ID)
    begin = world.runs.begin_attempt

    def begin_and_die(*arguments: Any, **named: Any) -> Run:
        begin(*arguments, **named)
        raise Throttled("The function was killed here.")

    monkeypatch.setattr(world.runs, "begin_attempt", begin_and_die)
    with pytest.raises(Throttled):
        world.decide_next(state)
    world.clock.move(30)
    again = world.decide_next(state)
    world.clock.move(again["wait_s"])
    later = world.decide_next(state)

    assert (again["action"], again["attempt"], again["reason"]) == ("wait", 2, "SPOT_INTERRUPTION")
    assert 60 < again["wait_s"] < 240
    assert (later["action"], later["attempt"]) == ("launch", 2)
