"""What people are told of runs: each thing once, and only what the run wants told."""

from datetime import timedelta
from decimal import Decimal

import pytest

from runctl.model import timing
from runctl.model.attempt import FactKind
from runctl.model.ids import InstanceId
from runctl.model.machine import MachineState, MachineView
from runctl.model.names import Metric, State, Tag
from runctl.model.notice import NoticeKind, NotifyLevel
from runctl.model.status import Reason
from runctl.model.timeline import TimelineKind
from runctl.policy.reaping import is_kept
from runctl.policy.watching import SILENT_FOR, STILL_FOR
from tests.controller.stages import start, to_training
from tests.factories import RUN_ID, make_run, make_spec
from tests.fakes.world import World

HOUR = 3_600


def subjects(world: World) -> list[str]:
    return [subject for subject, _ in world.notifications.sent]


def watched(world: World, times: int = 3) -> list[str]:
    """Watch several times; answer what was told."""
    for _ in range(times):
        world.watch_costs()
        world.clock.move(60)
    return subjects(world)


def test_people_are_told_once_of_a_training_that_does_not_move() -> None:
    world = World()
    to_training(world)
    world.observe_agent(world.says_started())
    world.observe_agent(world.saves(10))
    world.clock.move(STILL_FOR.total_seconds() - 300)
    quiet = watched(world)
    world.clock.move(600)

    told = watched(world)

    assert quiet == []
    assert told == ["runctl: digits shows no progress"]
    assert "runctl logs" in world.notifications.sent[0][1]


def test_a_training_that_never_reports_is_given_more_time() -> None:
    world = World()
    to_training(world)
    world.observe_agent(world.says_started())
    world.clock.move(STILL_FOR.total_seconds() * 2)
    quiet = watched(world)
    world.clock.move(SILENT_FOR.total_seconds())

    assert quiet == []
    assert watched(world) == ["runctl: digits shows no progress"]


def test_people_are_told_once_of_a_machine_that_costs_without_a_run() -> None:
    world = World()
    view = MachineView(
        instance_id=InstanceId("i-0000000000000cafe"),
        state=MachineState.RUNNING,
        instance_type="g5.xlarge",
        launched_at=world.clock() - timing.REAPER_GRACE - timedelta(minutes=1),
        tags={Tag.RUN.value: "r-nobody"},
    )
    world.machines.add(view)

    told = watched(world)

    assert told == ["runctl: the machine i-0000000000000cafe costs without a run"]
    assert world.metrics.values[Metric.IDLE_MACHINES] == [1, 1, 1]


@pytest.mark.parametrize(("minutes", "tags"), [(-10, {}), (10, {Tag.PROTECTED.value: "true"})])
def test_young_and_protected_machines_are_not_told_of(minutes: int, tags: dict[str, str]) -> None:
    world = World()
    view = MachineView(
        instance_id=InstanceId("i-0000000000000cafe"),
        state=MachineState.RUNNING,
        launched_at=world.clock() - timing.REAPER_GRACE - timedelta(minutes=minutes),
        tags={Tag.RUN.value: "r-nobody", **tags},
    )
    world.machines.add(view)

    assert watched(world) == []


@pytest.mark.parametrize(("level", "told"), [(NotifyLevel.NONE, 0), (NotifyLevel.END, 1), (NotifyLevel.ALL, 2)])
def test_a_run_is_told_of_as_much_as_it_wants(level: NotifyLevel, told: int) -> None:
    world = World()
    execution = to_training(world, spec=make_spec(notify=level))
    world.observe_agent(world.says_started())
    world.clock.move(SILENT_FOR.total_seconds() + 600)
    watched(world)
    world.observe_agent(world.says_ended())
    execution.advance()

    assert len(subjects(world)) == told


def test_every_kind_is_wanted_by_all_and_none_by_none() -> None:
    assert all(NotifyLevel.ALL.wants(kind) and not NotifyLevel.NONE.wants(kind) for kind in NoticeKind)
    assert {kind for kind in NoticeKind if NotifyLevel.END.wants(kind)} == {
        NoticeKind.SUCCEEDED,
        NoticeKind.FAILED,
        NoticeKind.STOPPED,
        NoticeKind.CANCELLED,
    }


@pytest.mark.parametrize(("level", "told"), [(NotifyLevel.NONE, 0), (NotifyLevel.END, 0), (NotifyLevel.ALL, 1)])
def test_a_wait_for_a_machine_is_told_once_to_who_wants_all(level: NotifyLevel, told: int) -> None:
    world = World()
    world.machines.refusals["t3.micro"] = "InsufficientInstanceCapacity"
    execution = start(world, spec=make_spec(notify=level, capacity_timeout_s=2 * HOUR))

    while execution.advance() is State.WAIT_FOR_CAPACITY and world.run().capacity_wait is not None:
        world.clock.move(1)

    waits = [subject for subject in subjects(world) if subject == "runctl: digits waits for a machine"]
    assert len(waits) == told


@pytest.mark.parametrize(
    ("level", "told"), [(NotifyLevel.NONE, []), (NotifyLevel.ALL, ["runctl: digits goes on on demand"])]
)
def test_a_fall_back_is_told_once_to_who_wants_all(level: NotifyLevel, told: list[str]) -> None:
    world = World()
    world.machines.refusals["t3.micro"] = "InsufficientInstanceCapacity"
    execution = start(world, spec=make_spec(notify=level, fallback=True))

    while world.run().fell_back_at is None:
        execution.advance()
        world.clock.move(1)

    assert subjects(world) == told


@pytest.mark.parametrize(("level", "told"), [(NotifyLevel.NONE, 0), (NotifyLevel.END, 0), (NotifyLevel.ALL, 1)])
def test_a_limit_that_is_near_is_told_once_to_who_wants_all(level: NotifyLevel, told: int) -> None:
    world = World()
    to_training(world, spec=make_spec(notify=level, max_cost_usd=Decimal("0.10")))

    while not world.run().limits_told:
        world.clock.move(60)
        world.stop_run(action="limits")
    world.stop_run(action="limits")

    assert subjects(world) == ["runctl: digits has used 80 % of its money"] * told
    assert world.timeline().count(TimelineKind.LIMIT_NEAR) == 1


def test_a_machine_that_somebody_keeps_is_no_machine_without_a_run_while_it_is_kept() -> None:
    world = World()
    execution = to_training(world, spec=make_spec(keep_machine_s=24 * HOUR))
    world.observe_agent(world.says_ended())
    execution.advance()
    world.notifications.sent.clear()
    world.clock.move(3 * HOUR)
    kept = watched(world)
    counted = Metric.IDLE_MACHINES in world.metrics.values
    world.clock.move(24 * HOUR)

    assert (kept, counted) == ([], False)
    assert watched(world) == [f"runctl: the machine {world.machine()} costs without a run"]


def test_a_machine_is_not_kept_after_a_run_that_failed() -> None:
    spec = make_spec(keep_machine_s=24 * HOUR)

    assert not is_kept(make_run(spec=spec, reason=Reason.USER_ERROR), make_run().created_at)
    assert is_kept(make_run(spec=spec, reason=Reason.COMPLETED), make_run().created_at)


# -- figures -----------------------------------------------------------------------------------------------------


def test_figures_are_kept_by_run_project_user_and_pool() -> None:
    world = World()
    to_training(world, spec=make_spec(max_runtime_s=10 * HOUR))
    world.observe_agent(world.says_started())
    world.clock.move(2 * HOUR)

    world.watch_costs()

    found = world.runs.figures()
    assert found is not None
    spent = found.runs[RUN_ID].usd
    assert found.by_project == {"vision": spent}
    assert found.by_user == {"ada": spent}
    assert list(found.by_pool) == ["t3.micro us-east-1a spot"]
    assert found.month_usd == spent
    assert float(found.forecast_usd) == pytest.approx(8 * float(found.usd_per_hour), abs=0.001)


def test_the_forecast_ends_where_the_money_does() -> None:
    world = World()
    to_training(world, spec=make_spec(max_cost_usd=Decimal("0.20")))
    world.clock.move(2 * HOUR)

    world.watch_costs()

    found = world.runs.figures()
    assert found is not None
    assert found.forecast_usd == Decimal("0.20") - found.runs[RUN_ID].usd


def test_the_month_counts_what_is_settled_and_what_runs() -> None:
    world = World()
    execution = to_training(world)
    world.clock.move(HOUR)
    world.observe_agent(world.says_ended())
    execution.advance()
    world.observe_machine(world.state_change(world.machine(1)))
    running = world.watch_costs()["month_usd"]
    world.machines.forget_all()

    settled = world.watch_costs()

    assert FactKind.GONE in world.attempt(1).facts
    assert (settled["settled"], Decimal(settled["month_usd"])) == (1, world.run().settled_usd)
    assert float(running) == pytest.approx(float(settled["month_usd"]), abs=0.001)
