"""A run is asked to stop: at each stage, gently and at once, by a person, a limit and the schedule."""

from datetime import datetime, timedelta

import pytest

from runctl.errors import NotFoundError, Throttled
from runctl.model import timing
from runctl.model.agent_event import EndedWhy
from runctl.model.ids import RunId
from runctl.model.machine import SPOT_TERMINATION
from runctl.model.names import State
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from tests.controller.stages import start, to_fence, to_preparing, to_training, to_wait_for_ssm
from tests.factories import RUN_ID, make_spec
from tests.fakes.world import World


def test_a_training_is_asked_to_save_and_its_end_ends_the_run() -> None:
    world = World()
    execution = to_training(world)

    answer = world.stop_run()
    assert execution.advance() is State.TRAIN
    asked = world.run()
    world.observe_agent(world.says_ended(EndedWhy.STOP, 75))
    execution.advance()

    assert answer["status"] == "STOPPING"
    assert asked.status is RunStatus.STOPPING
    assert world.commands.verbs == ["start", "stop"]
    assert execution.state is State.RUN_CANCELLED
    assert (world.run().status, world.run().reason) == (RunStatus.CANCELLED, Reason.CANCELLED)
    assert "cancelled by ada" in world.run().message
    assert world.machines.alive == []
    assert world.schedules.times == {}


def test_a_schedule_ends_the_machine_of_a_training_that_does_not_listen() -> None:
    world = World()
    execution = to_training(world, spec=make_spec(save_limit_s=90))
    asked_at = world.clock()
    world.stop_run()
    fires_at = world.schedules.times[RUN_ID]

    world.clock.at = fires_at
    world.stop_run(action="terminate", requested_by="the schedule")
    execution.advance()

    assert fires_at == asked_at + timedelta(seconds=90) + timing.STOP_MARGIN
    assert world.run().status is RunStatus.CANCELLED
    assert "by ada" in world.run().message
    assert world.machines.alive == []


def test_now_ends_the_machine_at_once() -> None:
    world = World()
    execution = to_training(world)

    world.stop_run(now=True)
    execution.advance()

    assert world.run().status is RunStatus.CANCELLED
    assert world.machines.alive == []
    assert world.commands.verbs == ["start"]


def test_now_after_a_gentle_stop_does_not_wait_any_longer() -> None:
    world = World()
    execution = to_training(world)
    world.stop_run()
    world.clock.move(5)

    world.stop_run(now=True, requested_by="bob")
    execution.advance()

    stops = [event.text for event in world.runs.events(RUN_ID) if event.kind is TimelineKind.STOP_REQUESTED]
    assert world.run().status is RunStatus.CANCELLED
    assert "by ada" in world.run().message  # the first request stands
    assert len(stops) == 2


def test_now_does_not_wait_for_ec2s_event_but_for_ec2s_word() -> None:
    world = World()
    execution = to_training(world)
    world.machines.terminate_takes = True

    world.stop_run(now=True)
    assert execution.advance() is State.TRAIN
    world.machines.finish_terminating()
    world.observe_machine(world.state_change(world.machine()))
    execution.advance()

    assert world.run().status is RunStatus.CANCELLED


def test_a_training_that_ends_well_though_it_was_asked_to_stop_has_succeeded() -> None:
    world = World()
    execution = to_training(world)
    world.stop_run()

    world.observe_agent(world.says_ended(EndedWhy.STOP, 0))
    execution.advance()

    assert world.run().status is RunStatus.SUCCEEDED


def test_a_training_that_fails_while_it_is_asked_to_stop_is_cancelled_and_keeps_its_exit_code() -> None:
    world = World()
    execution = to_training(world, spec=make_spec(retries=5))
    world.stop_run()

    world.observe_agent(world.says_ended(exit_code=1))
    execution.advance()

    assert world.run().status is RunStatus.CANCELLED
    assert (world.attempt().reason, world.attempt().exit_code) == (Reason.USER_ERROR, 1)


def test_an_interruption_while_it_is_asked_to_stop_is_not_replaced() -> None:
    world = World()
    execution = to_training(world)
    world.stop_run()

    world.machines.go(world.machine(), SPOT_TERMINATION)
    world.observe_machine(world.state_change(world.machine()))
    execution.advance()

    assert world.run().status is RunStatus.CANCELLED
    assert len(world.machines.launched) == 1


@pytest.mark.parametrize(
    ("reason", "status"), [(Reason.TIMEOUT, RunStatus.STOPPED), (Reason.BUDGET, RunStatus.STOPPED)]
)
def test_a_limit_stops_the_run_saved(reason: Reason, status: RunStatus) -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.saves(100))

    world.stop_run(reason=reason, requested_by="the cost watch")
    world.observe_agent(world.says_ended(EndedWhy.STOP, 75))
    execution.advance()

    assert (world.run().status, world.run().reason) == (status, reason)
    assert execution.state is State.RUN_STOPPED
    assert "The checkpoint step-100.npz of step 100 is kept." in world.run().message


def test_a_machine_that_ssm_cannot_reach_cannot_be_asked_and_is_ended() -> None:
    world = World()
    execution = to_training(world)
    world.commands.online.clear()

    world.stop_run()
    execution.advance()

    assert world.run().status is RunStatus.CANCELLED
    assert world.machines.alive == []


# -- before the training -----------------------------------------------------------------------------------------


def test_a_run_that_has_not_begun_ends_at_once() -> None:
    world = World()
    execution = start(world)

    answer = world.stop_run()
    execution.advance()

    assert answer["status"] == "CANCELLED"
    assert execution.state is State.ALREADY_ENDED
    assert world.machines.launched == []
    assert len(world.notifications.sent) == 1


def test_a_run_that_waits_for_capacity_ends_at_once_and_its_execution_when_the_wait_is_over() -> None:
    world = World()
    world.machines.refusals["t3.micro"] = "InsufficientInstanceCapacity"
    execution = start(world)
    assert execution.advance() is State.WAIT_FOR_CAPACITY

    answer = world.stop_run()
    world.machines.refusals.clear()
    world.clock.move(900)
    execution.advance()

    assert answer["status"] == "CANCELLED"
    assert execution.state is State.RUN_CANCELLED
    assert world.machines.launched == []


def test_a_run_that_waits_for_its_machine_ends_at_once() -> None:
    world = World()
    execution = to_wait_for_ssm(world)

    world.stop_run()
    execution.advance()

    assert world.run().status is RunStatus.CANCELLED
    assert world.machines.alive == []
    assert world.schedules.times == {}


def test_a_stop_while_a_machine_is_being_launched_ends_that_machine() -> None:
    world = World()
    execution = start(world)
    world.machines.during_create_fleet = world.stop_run

    execution.advance()

    assert world.run().status is RunStatus.CANCELLED
    assert len(world.machines.launched) == 1
    assert world.machines.alive == []


def test_a_stop_during_the_set_up_reaches_the_agent() -> None:
    world = World()
    execution = to_preparing(world)

    world.stop_run()
    world.observe_agent(world.says_ended(EndedWhy.STOP, None, started=False))
    execution.advance()

    assert world.commands.verbs == ["start", "stop"]
    assert world.run().status is RunStatus.CANCELLED


def test_a_training_that_starts_after_the_stop_does_not_make_the_run_run() -> None:
    world = World()
    to_preparing(world)
    world.stop_run()

    world.observe_agent(world.says_started())

    assert world.run().status is RunStatus.STOPPING


# -- runs that are not there any more ----------------------------------------------------------------------------


def test_stopping_an_ended_run_changes_nothing_and_says_so() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.says_ended())
    execution.advance()
    before = world.run()

    answers = [world.stop_run(), world.stop_run(now=True), world.stop_run(action="terminate")]

    assert world.run() == before
    assert all(answer["status"] == "SUCCEEDED" for answer in answers)
    assert all(answer["message"] == "The run has ended already." for answer in answers)


def test_stopping_a_run_that_is_not_there_is_an_error() -> None:
    with pytest.raises(NotFoundError):
        World().stop_run(RunId("r-nobody"))


def test_a_stop_between_the_two_waiting_states_is_seen_by_the_second() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    calls = 0

    def stop_before_training(state: State) -> None:
        nonlocal calls
        if state is State.TRAIN and not calls:
            calls += 1
            world.stop_run()

    execution.before = stop_before_training
    world.machines.boot(world.machine())
    world.commands.online.add(world.machine())
    world.observe_agent(world.says_ready())
    execution.advance()

    assert calls == 1
    assert world.run().status is RunStatus.CANCELLED
    assert world.commands.verbs == []


def test_a_run_that_was_asked_to_stop_stays_stopping_until_it_has_ended() -> None:
    world = World()
    execution = start(world)
    world.machines.during_create_fleet = world.stop_run
    seen: list[RunStatus] = []
    execution.before = lambda _: seen.append(world.run().status)

    execution.advance()

    assert seen == [
        RunStatus.PENDING,
        RunStatus.PROVISIONING,
        RunStatus.STOPPING,
        RunStatus.STOPPING,
        RunStatus.STOPPING,
    ]


def test_a_machine_that_cannot_be_asked_keeps_no_other_from_its_stop() -> None:
    world = World()
    to_fence(world)
    world.commands.busy.add(world.machine(1))

    with pytest.raises(Throttled):
        world.stop_run()
    stopped = [machine for machine, script in world.commands.sent if " stop " in script]

    assert stopped == [world.machine(2)]
    assert RUN_ID in world.schedules.times


def test_a_schedule_that_cannot_be_set_keeps_no_machine_from_its_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    to_training(world)

    def refuse(run_id: RunId, at: datetime) -> None:
        raise Throttled("EventBridge Scheduler is busy.")

    monkeypatch.setattr(world.schedules, "terminate_at", refuse)
    with pytest.raises(Throttled):
        world.stop_run()

    assert world.commands.verbs == ["start", "stop"]
