"""The reaper: machines that no run owns are ended at the second look, and runs that were not told are set right."""

from datetime import timedelta

import pytest

from runctl.errors import PermissionDenied
from runctl.model import timing
from runctl.model.agent_event import AgentEventKind, EndedWhy
from runctl.model.ids import InstanceId, RunId
from runctl.model.machine import MachineState, MachineView
from runctl.model.names import Metric, State, Tag
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from tests.controller.stages import boot, go, reasons, to_training, to_wait_for_ssm
from tests.factories import RUN_ID, make_end
from tests.fakes.world import SETTINGS, World

OLD = timing.REAPER_GRACE + timedelta(minutes=1)
LATER_S = timing.REAPER_SECOND_LOOK.total_seconds()
OURS = {Tag.STACK.value: SETTINGS.stack_name}
NOBODYS = {**OURS, Tag.RUN.value: "r-nobody"}


def a_machine(world: World, tags: dict[str, str], *, age: timedelta = OLD, number: int = 0xCAFE) -> InstanceId:
    """A running machine with these tags."""
    view = MachineView(
        instance_id=InstanceId(f"i-{number:017x}"),
        state=MachineState.RUNNING,
        launched_at=world.clock() - age,
        tags=tags,
    )
    world.machines.add(view)
    return view.instance_id


def look_twice(world: World) -> dict[str, object]:
    """Two looks, so far apart that the second one acts."""
    world.reap_machines()
    world.clock.move(LATER_S)
    return world.reap_machines()


# -- machines without a run --------------------------------------------------------------------------------------


def test_a_machine_that_no_run_owns_is_ended_at_the_second_look() -> None:
    world = World()
    stray = a_machine(world, NOBODYS)

    first = world.reap_machines()
    ended_at_first = list(world.machines.terminated)
    world.clock.move(LATER_S)
    second = world.reap_machines()

    assert (first["deeds"], ended_at_first) == ([], [])
    assert list(first["strikes"]) == [stray]
    assert world.machines.terminated == [stray]
    assert [deed["instance_id"] for deed in second["deeds"]] == [stray]


def test_a_second_look_that_comes_too_soon_ends_nothing() -> None:
    world = World()
    a_machine(world, NOBODYS)
    world.reap_machines()
    world.clock.move(LATER_S - 1)

    answer = world.reap_machines()

    assert (answer["deeds"], world.machines.terminated) == ([], [])


def test_a_machine_that_found_its_owner_between_two_looks_begins_anew() -> None:
    world = World()
    execution = to_training(world)
    world.clock.move(OLD.total_seconds())
    attempt = world.attempt()
    world.runs.save_attempt(attempt.model_copy(update={"instance_id": InstanceId("i-0000000000000beef")}))
    struck = world.reap_machines()["strikes"]
    world.runs.save_attempt(world.attempt().model_copy(update={"instance_id": attempt.instance_id}))
    world.clock.move(LATER_S)

    answer = world.reap_machines()

    assert list(struck) == [attempt.instance_id]
    assert (answer["strikes"], answer["deeds"]) == ({}, [])
    assert execution.status is ExecutionStatus.RUNNING


@pytest.mark.parametrize(
    ("age", "tags"),
    [
        (timing.REAPER_GRACE - timing.REAPER_SECOND_LOOK - timedelta(seconds=1), NOBODYS),
        (OLD, {**NOBODYS, Tag.PROTECTED.value: ""}),
        (OLD, {**NOBODYS, Tag.STACK.value: "another"}),
        (OLD, {Tag.RUN.value: "r-nobody"}),
        (OLD, {"Name": "somebody else's"}),
    ],
    ids=["young", "protected", "of another deployment", "of no deployment", "foreign"],
)
def test_machines_that_are_not_surely_ours_and_nobodys_are_left_alone(age: timedelta, tags: dict[str, str]) -> None:
    world = World()
    a_machine(world, tags, age=age)

    answer = look_twice(world)

    assert (answer["strikes"], answer["deeds"], world.machines.terminated) == ({}, [], [])


def test_the_machine_of_an_open_run_is_its_own() -> None:
    world = World()
    to_training(world)
    world.clock.move(OLD.total_seconds())

    answer = look_twice(world)

    assert (answer["machines"], answer["runs"], answer["deeds"]) == (1, 1, [])


def test_a_second_machine_of_an_open_run_is_ended_and_told_on_the_runs_timeline() -> None:
    world = World()
    to_training(world)
    stray = a_machine(world, {**OURS, Tag.RUN.value: RUN_ID})

    look_twice(world)

    assert world.machines.terminated == [stray]
    assert TimelineKind.MACHINE_TERMINATED in world.timeline()
    assert world.run().status is RunStatus.RUNNING


def test_a_machine_that_outlived_its_run_is_ended() -> None:
    world = World()
    execution = to_training(world)
    machine = world.machines.machine(world.machine())
    world.observe_agent(world.says_ended())
    execution.advance()
    assert machine is not None
    world.machines.add(machine)
    world.clock.move(OLD.total_seconds())

    look_twice(world)

    assert world.machines.alive == []


def test_machines_are_counted_and_people_are_told_only_when_something_was_done() -> None:
    world = World()
    stray = a_machine(world, NOBODYS)

    world.reap_machines()
    told_at_first = list(world.notifications.sent)
    world.clock.move(LATER_S)
    world.reap_machines()

    assert world.metrics.values[Metric.STRAY_MACHINES] == [1]
    assert told_at_first == []
    assert stray in world.notifications.sent[0][1]


def test_a_dry_run_says_what_it_would_do_and_does_nothing() -> None:
    world = World()
    stray = a_machine(world, NOBODYS)
    world.submit()
    world.clock.move(OLD.total_seconds())
    world.runs.create_run(world.run().model_copy(update={"run_id": RunId("r-1hqz5yk9abcd")}))
    world.reap_machines()  # concludes both runs and strikes the machine
    writes = world.runs.writes
    world.clock.move(LATER_S)

    answer = world.reap_machines(dry_run=True)

    assert [deed["instance_id"] for deed in answer["deeds"]] == [stray]
    assert world.machines.terminated == []
    assert world.runs.writes == writes


def test_a_dry_run_names_what_only_a_second_look_would_end() -> None:
    world = World()
    stray = a_machine(world, NOBODYS)

    answer = world.reap_machines(dry_run=True)

    (upcoming,) = answer["upcoming"]
    assert answer["deeds"] == []
    assert upcoming["instance_id"] == stray
    assert upcoming["text"].endswith("is to be ended, for its run is not in the table.")


def test_a_machine_that_a_person_has_seen_needs_no_second_look() -> None:
    world = World()
    stray, other = a_machine(world, NOBODYS), a_machine(world, NOBODYS, number=0xBEEF)

    answer = world.reap_machines(confirmed=[stray])

    assert world.machines.terminated == [stray]
    assert [deed["instance_id"] for deed in answer["deeds"]] == [stray]
    assert set(answer["strikes"]) == {stray, other}


@pytest.mark.parametrize(
    ("tags", "age"),
    [
        ({**NOBODYS, Tag.PROTECTED.value: "true"}, OLD),
        ({**NOBODYS, Tag.STACK.value: "another"}, OLD),
        (NOBODYS, timing.REAPER_GRACE - timedelta(minutes=1)),
    ],
    ids=["protected", "of another deployment", "young"],
)
def test_nobodys_word_ends_a_machine_that_is_to_stay(tags: dict[str, str], age: timedelta) -> None:
    world = World()
    stray = a_machine(world, tags, age=age)

    world.reap_machines(confirmed=[stray])

    assert world.machines.terminated == []


def test_a_machine_whose_run_goes_on_is_not_ended_by_a_persons_word() -> None:
    world = World()
    to_training(world)
    (view,) = world.machines.tagged_machines()
    world.clock.move(OLD.total_seconds())

    world.reap_machines(confirmed=[view.instance_id])

    assert world.machines.terminated == []


def test_what_the_last_look_came_to_is_kept() -> None:
    world = World()
    a_machine(world, NOBODYS)

    answer = look_twice(world)

    kept = world.runs.last_sweep()
    assert kept is not None
    assert kept.model_dump(mode="json", exclude={"version"}) == answer


def test_a_machine_that_cannot_be_ended_keeps_no_other_from_it() -> None:
    world = World()
    first, second = (a_machine(world, NOBODYS, number=number) for number in (1, 2))
    terminate = world.machines.terminate

    def deny(instance_id: InstanceId) -> None:
        if instance_id == first:
            raise PermissionDenied("TerminateInstances is not allowed.")
        terminate(instance_id)

    world.machines.terminate = deny
    with pytest.raises(PermissionDenied):
        look_twice(world)

    kept = world.runs.last_sweep()
    assert world.machines.terminated == [second]
    assert kept is not None
    assert kept.faults == ("TerminateInstances is not allowed.",)


# -- runs that were not told --------------------------------------------------------------------------------------


def test_a_waiting_state_is_answered_when_the_machine_went_and_nobody_told() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    world.machines.go(world.machine())

    answer = world.reap_machines()

    assert [deed["run_id"] for deed in answer["deeds"]] == [RUN_ID]
    assert execution.advance() is State.WAIT_FOR_SSM
    assert reasons(world) == [Reason.SPOT_INTERRUPTION, None]


def test_a_training_whose_report_was_lost_is_found_by_its_marker() -> None:
    world = World()
    execution = to_training(world)
    marker = world.says(AgentEventKind.TRAINING_ENDED, make_end(EndedWhy.EXITED, 0))
    world.bucket.markers[world.machine()] = marker.detail

    world.reap_machines()
    execution.advance()

    assert world.run().status is RunStatus.SUCCEEDED
    assert world.metrics.values[Metric.STRANDED_RUNS] == [1]


def test_a_run_that_is_being_stopped_and_whose_schedule_was_lost_is_ended_when_its_time_is_over() -> None:
    world = World()
    execution = to_training(world)
    world.stop_run()
    world.schedules.times.clear()
    world.reap_machines()
    saving = world.machines.alive
    world.clock.move(world.run().spec.save_limit_s + 2 * timing.STOP_MARGIN.total_seconds() + 1)

    world.reap_machines()
    execution.advance()

    assert saving == [world.machine()]
    assert world.machines.alive == []
    assert world.run().reason is Reason.CANCELLED


def test_a_taken_over_run_whose_machine_went_and_nobody_told_is_concluded() -> None:
    world = World()
    execution = to_training(world)
    execution.abort()
    world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))
    world.machines.go(world.machine())

    world.reap_machines()

    assert (world.run().status, world.run().reason) == (RunStatus.CANCELLED, Reason.CANCELLED)


def test_a_run_that_knows_everything_is_left_to_its_state_machine() -> None:
    world = World()
    execution = to_training(world)
    go(world)

    answer = world.reap_machines()

    assert answer["deeds"] == []
    assert execution.advance() is State.WAIT_FOR_SSM


def test_two_looks_at_once_end_a_machine_and_both_come_to_their_end() -> None:
    world = World()
    stray = a_machine(world, NOBODYS)
    world.reap_machines()
    world.clock.move(LATER_S)

    def again(method: str) -> None:
        if method == "save_sweep":
            world.runs.before = None
            world.reap_machines()

    world.runs.before = again
    world.reap_machines()

    assert set(world.machines.terminated) == {stray}


def test_a_machine_whose_announcements_were_all_lost_is_ready_when_ssm_says_so() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    boot(world)
    world.clock.move(timing.READY_ANNOUNCED.total_seconds() - 1)
    early = world.reap_machines()["deeds"]
    world.clock.move(1)

    world.reap_machines()

    assert early == []
    assert execution.advance() is State.TRAIN


def test_a_machine_that_ssm_never_heard_of_is_still_waited_for() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    world.clock.move(timing.READY_ANNOUNCED.total_seconds() + 1)

    world.reap_machines()

    assert execution.advance() is State.WAIT_FOR_SSM
