"""Facts of an old attempt, of an ended run, of strangers; decisions that are made twice."""

from runctl.model.agent_event import EndedWhy
from runctl.model.attempt import FactKind
from runctl.model.decision import StepState
from runctl.model.ids import InstanceId
from runctl.model.names import State
from runctl.model.status import Reason
from runctl.model.timeline import TimelineKind
from tests.controller.stages import get_ready, go, reasons, take_back, to_second_attempt, to_training
from tests.factories import RUN_ID, make_spec
from tests.fakes.world import World


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
