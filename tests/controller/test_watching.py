"""The scheduled functions: what they see, what they count, what the reaper concludes."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from runctl.errors import PermissionDenied
from runctl.model import timing
from runctl.model.agent_event import EndedWhy
from runctl.model.ids import RunId
from runctl.model.machine import MachineView
from runctl.model.names import Metric
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason, RunStatus
from tests.controller.stages import to_training, to_wait_for_ssm
from tests.factories import RUN_ID, make_spec
from tests.fakes.world import World

OLD = timing.REAPER_GRACE + timedelta(minutes=1)


def stranded(answer: dict[str, Any]) -> list[RunId]:
    """The runs that the reaper set right."""
    return [deed["run_id"] for deed in answer["deeds"]]


# -- costs -------------------------------------------------------------------------------------------------------


def test_costs_of_all_open_runs_are_added_up() -> None:
    world = World()
    to_training(world)
    world.clock.move(10 * 3_600)

    answer = world.watch_costs()

    assert answer["usd_per_hour"] == "0.055959"
    assert (answer["open_runs"], answer["over_cost"], answer["unpriced"], answer["settled"]) == (1, [], 0, 0)
    assert world.metrics.values[Metric.USD_PER_HOUR] == [pytest.approx(0.055959, abs=1e-6)]
    assert Metric.RUNS_OVER_COST not in world.metrics.values


def test_a_run_over_its_limit_is_counted() -> None:
    world = World()
    to_training(world, spec=make_spec(max_cost_usd=Decimal("0.10")))
    before = world.watch_costs()
    world.clock.move(3 * 3_600)

    after = world.watch_costs()

    assert (before["over_cost"], after["over_cost"]) == ([], [RUN_ID])


def test_a_machine_without_a_price_is_asked_for_again_and_not_taken_for_free() -> None:
    world = World()
    world.prices.spot = None
    to_training(world)

    unknown = world.watch_costs()
    world.prices.spot = Decimal("0.04")
    known = world.watch_costs()

    assert (unknown["unpriced"], known["unpriced"]) == (1, 0)


def test_runs_that_have_ended_cost_nothing_any_more() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.says_ended())
    execution.advance()

    assert world.watch_costs()["open_runs"] == 0


# -- runs without an execution -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (ExecutionStatus.FAILED, Reason.CONTROLLER),
        (ExecutionStatus.ABORTED, Reason.CANCELLED),
        (ExecutionStatus.TIMED_OUT, Reason.TIMEOUT),
        (ExecutionStatus.SUCCEEDED, Reason.MACHINE_LOST),
    ],
)
def test_a_run_whose_execution_ended_and_that_holds_no_machine_is_concluded(
    status: ExecutionStatus, reason: Reason
) -> None:
    world = World()
    to_wait_for_ssm(world)
    world.machines.go(world.machine(), "Client.UserInitiatedShutdown")
    world.observe_machine(world.state_change(world.machine()))
    world.executions.statuses[RUN_ID] = status

    answer = world.reap_machines()

    assert stranded(answer) == [RUN_ID]
    assert world.run().reason is reason
    assert world.metrics.values[Metric.STRANDED_RUNS] == [1]


def test_a_training_whose_executions_end_was_never_told_is_asked_to_save_and_is_concluded() -> None:
    world = World()
    to_training(world).abort()

    world.reap_machines()
    asked = (world.commands.verbs, world.run().status, world.run().execution_ended)
    world.observe_agent(world.says_ended(EndedWhy.STOP, 75))

    assert asked == (["start", "stop"], RunStatus.STOPPING, True)
    assert (world.run().status, world.run().reason) == (RunStatus.CANCELLED, Reason.CANCELLED)
    assert world.machines.alive == []


def test_a_run_that_cannot_be_concluded_does_not_keep_the_others_from_it() -> None:
    world = World()
    world.submit(run_id=RunId("r-1hqz5yk7abcc"))
    world.submit()
    world.clock.move(OLD.total_seconds())
    look = world.machines.machines_of_run

    def deny(run_id: RunId) -> tuple[MachineView, ...]:
        if run_id != RUN_ID:
            raise PermissionDenied("DescribeInstances is not allowed.")
        return look(run_id)

    world.machines.machines_of_run = deny
    with pytest.raises(PermissionDenied):
        world.reap_machines()

    assert world.run().status is RunStatus.FAILED
    assert world.metrics.values[Metric.STRANDED_RUNS] == [1]


def test_a_run_whose_execution_never_began_is_concluded_after_the_grace() -> None:
    world = World()
    world.submit()
    young = stranded(world.reap_machines())
    world.clock.move(OLD.total_seconds())

    old = stranded(world.reap_machines())

    assert (young, old) == ([], [RUN_ID])
    assert world.run().reason is Reason.CONTROLLER


def test_a_run_that_still_saves_is_not_concluded_until_its_time_is_long_over() -> None:
    world = World()
    to_training(world).abort()
    world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))
    saving = stranded(world.reap_machines())
    world.clock.move(OLD.total_seconds() + 300)

    overdue = stranded(world.reap_machines())

    assert (saving, overdue) == ([], [RUN_ID])
    assert world.run().status is RunStatus.CANCELLED
    assert world.machines.alive == []


def test_other_runs_do_not_matter() -> None:
    world = World()
    to_training(world)
    world.submit(run_id=RunId("r-1hqz5yk9abcd"))
    world.executions.statuses[RUN_ID] = ExecutionStatus.RUNNING

    assert stranded(world.reap_machines()) == []
