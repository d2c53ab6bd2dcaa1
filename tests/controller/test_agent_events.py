"""What machines say: verified, recorded, and only of the attempt they belong to."""

from datetime import timedelta
from typing import Any

import pytest

from runctl.errors import AwsUnavailable
from runctl.model.agent_event import AgentEventKind, sign
from runctl.model.attempt import FactKind
from runctl.model.decision import StepState
from runctl.model.names import Metric, State
from runctl.model.service_events import BusEvent, ExecutionStatus
from runctl.model.status import RunStatus
from runctl.model.timeline import TimelineKind
from tests.controller.stages import boot, start, to_preparing, to_training, to_wait_for_ssm
from tests.factories import RUN_ID, make_detail, make_end
from tests.fakes.state_machine import Execution
from tests.fakes.world import World


def unverified(world: World) -> int:
    """How many events were dropped."""
    return len(world.metrics.values.get(Metric.UNVERIFIED_EVENTS, []))


def bus(world: World, **changes: Any) -> BusEvent:
    """A signed `Training Ended` of the current machine, changed and not signed again."""
    event = world.says_ended()
    return BusEvent(time=event.time, detail={**event.detail, **changes})


# -- verification ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": "0" * 64},
        {"signature": ""},
        {"signature": 7},
        {"attempt": 2},
        {"attempt": 0},
        {"run_id": "r-another"},
        {"instance_id": "i-0fffffffffffffff0"},
        {"kind": "Training Started"},
        {"kind": "Something Else"},
        {"time": "2026-03-01T09:31:00.000Z"},
        {"time": "yesterday"},
        {"data": {}},
        {"data": make_end(exit_code=3)},
        {"version": 2},
    ],
)
def test_an_event_that_was_changed_is_dropped_and_counted(changes: dict[str, Any]) -> None:
    world = World()
    execution = to_training(world)
    facts = world.attempt().facts

    answer = world.observe_agent(bus(world, **changes))

    assert answer["outcome"] == "unverified"
    assert unverified(world) == 1
    assert world.attempt().facts == facts
    assert execution.advance() is State.TRAIN


def test_the_same_event_unchanged_is_taken() -> None:
    world = World()
    execution = to_training(world)

    world.observe_agent(bus(world))

    assert unverified(world) == 0
    assert execution.advance() is State.RUN_SUCCEEDED


def test_a_detail_that_is_no_event_at_all_is_dropped() -> None:
    world = World()

    answer = world.observe_agent(BusEvent(time=world.clock(), detail={"hello": "there"}))

    assert answer["outcome"] == "unverified"
    assert unverified(world) == 1


def test_a_secret_of_another_attempt_opens_nothing() -> None:
    world = World()
    to_training(world)
    detail = make_detail(world.attempt(), AgentEventKind.TRAINING_ENDED, make_end(), at=world.clock(), secret="77" * 32)

    world.observe_agent(BusEvent(time=world.clock(), detail=detail))

    assert FactKind.ENDED not in world.attempt().facts
    assert sign(detail, world.attempt().secret) != detail["signature"]


# -- ready -------------------------------------------------------------------------------------------------------


def test_a_machine_is_ready_when_it_says_so_and_ssm_agrees() -> None:
    world = World()
    execution = to_wait_for_ssm(world)

    world.observe_agent(world.says_ready())
    before = execution.advance()
    boot(world)
    world.observe_agent(world.says_ready())

    assert before is State.WAIT_FOR_SSM
    assert execution.advance() is State.TRAIN


def test_ready_needs_no_signature_but_the_attempts_own_machine() -> None:
    world = World()
    to_wait_for_ssm(world)
    boot(world)
    detail = world.says_ready().detail
    unsigned = {**detail, "signature": ""}
    stranger = {**unsigned, "instance_id": "i-0fffffffffffffff0"}

    world.observe_agent(BusEvent(time=world.clock(), detail=stranger))
    assert FactKind.READY not in world.attempt().facts
    world.observe_agent(BusEvent(time=world.clock(), detail=unsigned))

    assert FactKind.READY in world.attempt().facts
    assert unverified(world) == 1


def test_a_machine_faster_than_the_launchs_answer_may_say_it_again() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    boot(world)
    early = world.says_ready()
    launched = world.attempt()
    world.runs.save_attempt(launched.model_copy(update={"instance_id": None}))

    answer = world.observe_agent(early)
    world.runs.save_attempt(world.attempt().model_copy(update={"instance_id": launched.instance_id}))
    world.observe_agent(early)

    assert answer["outcome"] == "nothing"
    assert unverified(world) == 0
    assert execution.advance() is State.TRAIN


# -- started, progress, checkpoints ------------------------------------------------------------------------------


def test_a_machine_that_announces_itself_to_a_run_that_has_ended_is_ended() -> None:
    """The execution was stopped in the middle of the launch, whose answer was lost: nothing names the machine."""
    world = World()
    execution = start(world)

    def stop_the_execution() -> None:
        execution.abort()
        world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))

    world.machines.during_create_fleet = stop_the_execution
    world.machines.loses_answer = True
    with pytest.raises(AwsUnavailable):
        world.launch_machine(begun(execution))
    (leaked,) = world.machines.alive

    event = world.says_ready()
    answer = world.observe_agent(BusEvent(time=event.time, detail={**event.detail, "instance_id": leaked}))

    assert answer["outcome"] == "ended"
    assert world.machines.alive == []
    assert world.run().status is RunStatus.CANCELLED


def begun(execution: Execution) -> StepState:
    """The data of `Launch machine`; the run was admitted."""
    state = StepState.model_validate(execution.data)
    execution.world.admit_run(state)
    return state


def test_a_start_makes_the_run_run_and_keeps_what_it_resumed_from() -> None:
    world = World()
    to_preparing(world)

    world.observe_agent(world.says_started(resumed_from="the/manifest.json", resumed_from_step=40, prepared_s=3.5))

    attempt = world.attempt()
    assert world.run().status is RunStatus.RUNNING
    assert "resumed at step 40" in world.run().message
    assert (attempt.resumed_from, attempt.resumed_from_step) == ("the/manifest.json", 40)


def test_a_start_that_comes_after_the_end_does_not_make_the_run_run() -> None:
    world = World()
    execution = to_preparing(world)
    start = world.says_started()
    world.observe_agent(world.says_ended(exit_code=3))

    world.observe_agent(start)
    status = world.run().status
    execution.advance()
    world.observe_agent(start)

    assert status is RunStatus.PREPARING
    assert world.run().status is RunStatus.FAILED


def test_figures_are_kept_and_older_ones_are_not() -> None:
    world = World()
    to_training(world)
    older, newer = world.clock(), world.clock.move(60)
    figures = [{"at": newer.isoformat(), "step": 20, "loss": 0.5}, {"at": older.isoformat(), "step": 10}]

    for data in figures:
        world.observe_agent(world.says(AgentEventKind.PROGRESS, data))

    progress = world.run().progress
    assert progress is not None
    assert (progress.step, progress.loss) == (20, 0.5)


def test_troubles_that_a_training_goes_on_through_stand_on_the_timeline_once() -> None:
    world = World()
    to_training(world)
    at = world.clock().isoformat()
    alone = world.says(AgentEventKind.PROGRESS, {"at": at, "warnings": ["the machine's disk is full"]})
    world.clock.move(1)
    with_checkpoint = world.saves(100, progress={"at": at, "warnings": ["The bucket is written again."]})

    for event in (alone, alone, with_checkpoint, with_checkpoint):
        world.observe_agent(event)

    assert world.timeline().count(TimelineKind.WARNING) == 2


def test_a_checkpoint_is_kept_once_and_told_once() -> None:
    world = World()
    to_training(world)
    event = world.saves(100)

    for _ in range(3):
        world.observe_agent(event)

    checkpoint = world.run().checkpoint
    assert checkpoint is not None
    assert (checkpoint.step, checkpoint.attempt) == (100, 1)
    assert world.timeline().count(TimelineKind.CHECKPOINT_SAVED) == 1


def test_figures_that_come_with_a_checkpoint_are_kept_unless_newer_ones_are_there() -> None:
    world = World()
    to_training(world)
    older = {"at": "2026-01-31T09:30:00Z", "step": 90, "loss": 0.5}
    newer = {"at": "2026-01-31T09:30:30Z", "step": 190, "loss": 0.25}

    world.observe_agent(world.saves(100, progress=older))
    first = world.run().progress
    world.observe_agent(world.says(AgentEventKind.PROGRESS, newer))
    world.observe_agent(world.saves(200, progress=older, saved_at="2027-01-01T00:00:00Z"))

    last = world.run().progress
    assert first is not None
    assert last is not None
    assert (first.step, first.loss, last.step) == (90, 0.5, 190)


def test_a_checkpoint_that_lies_where_the_machine_may_not_write_is_not_kept() -> None:
    world = World()
    to_training(world)
    event = world.saves(100)
    data = {**event.detail["data"], "manifest_key": f"runs/{RUN_ID}/attempts/0002/x/checkpoints/a/manifest.json"}

    world.observe_agent(world.says(AgentEventKind.CHECKPOINT_SAVED, data))

    assert world.run().checkpoint is None


def test_what_the_agent_warns_of_stands_on_the_timeline_once() -> None:
    world = World()
    to_training(world)
    started = world.says_started(warnings=["checkpoint step-2.pt cannot be used: it is damaged"])
    ended = world.says_ended(warnings=["The training left no checkpoint."])

    for event in (started, started, ended, ended):
        world.observe_agent(event)

    warnings = [event.text for event in world.runs.events(RUN_ID) if event.kind is TimelineKind.WARNING]
    assert sorted(warnings) == [
        "Checkpoint step-2.pt cannot be used: it is damaged.",
        "The training left no checkpoint.",
    ]


def test_a_machine_cannot_fill_the_timeline_with_warnings() -> None:
    world = World()
    to_training(world)

    world.observe_agent(world.says_started(warnings=["x" * 100_000] * 1_000))

    warnings = [event.text for event in world.runs.events(RUN_ID) if event.kind is TimelineKind.WARNING]
    assert len(warnings) == 5
    assert max(map(len, warnings)) <= 501


def test_the_end_is_told_once_however_often_it_comes() -> None:
    world = World()
    execution = to_training(world)
    event = world.says_ended()

    for _ in range(3):
        world.observe_agent(event)
    execution.advance()
    world.observe_agent(event)

    assert world.timeline().count(TimelineKind.TRAINING_ENDED) == 1
    assert TimelineKind.LATE_EVIDENCE not in world.timeline()


@pytest.mark.parametrize(("skew_s", "taken_s"), [(0.5, 0.5), (-59, -59), (900, 0), (-900, 0)])
def test_the_time_of_a_machine_whose_clock_is_wrong_is_not_taken(skew_s: float, taken_s: float) -> None:
    world = World()
    to_preparing(world)
    at = world.clock()
    detail = make_detail(
        world.attempt(),
        AgentEventKind.TRAINING_STARTED,
        {"started_at": at.isoformat()},
        at=at + timedelta(seconds=skew_s),
    )

    world.observe_agent(BusEvent(time=at, detail=detail))

    assert world.attempt().facts[FactKind.STARTED].at == at + timedelta(seconds=taken_s)
