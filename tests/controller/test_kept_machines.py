"""Machines that live on after a run, and runs on machines that somebody keeps."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from runctl.errors import Throttled
from runctl.model import timing
from runctl.model.agent_event import AgentEventKind, EndedWhy
from runctl.model.attempt import FactKind
from runctl.model.budget import ACCOUNT, BudgetPeriod
from runctl.model.ids import InstanceId, RunId
from runctl.model.machine import MachineState
from runctl.model.run import PurchaseOption, RunSpec
from runctl.model.service_events import BusEvent
from runctl.model.status import Reason, RunStatus
from tests.controller.stages import to_training
from tests.factories import RUN_ID, make_detail, make_end, make_run, make_spec
from tests.fakes.state_machine import Execution
from tests.fakes.world import World

OTHER_RUN_ID = RunId("r-zzzzzzzzzzzz")
"""Later than the first run's, as ids are."""
KEPT = make_spec(keep_machine_s=86_400)


def kept_machine(world: World, spec: RunSpec = KEPT) -> InstanceId:
    """Run what keeps its machine, to its end; answers the machine."""
    execution = to_training(world, spec=spec)
    machine = world.machine()
    job = world.bucket.jobs[machine]
    assert (job.keep_machine, job.keep_machine_on_success) == (False, True)
    world.observe_agent(world.says_ended())
    execution.advance()
    assert world.run().status is RunStatus.SUCCEEDED
    return machine


def month_usd(world: World) -> Decimal:
    """What the account has spent this month."""
    ledger = world.runs.budgets.ledger(ACCOUNT)
    assert ledger is not None
    return ledger.periods[BudgetPeriod.MONTH].spent_usd


def on(world: World, machine: InstanceId, run_id: RunId = OTHER_RUN_ID) -> Execution:
    """Submit a run for the machine; its execution has not begun."""
    world.runs.create_run(make_run(run_id=run_id, machine=machine))
    return Execution(world, run_id)


def ended(world: World, run_id: RunId) -> BusEvent:
    """The machine tells that the run's training has ended well."""
    data = make_end(EndedWhy.EXITED, 0)
    detail = make_detail(world.attempt(run_id=run_id), AgentEventKind.TRAINING_ENDED, data, at=world.clock())
    return BusEvent(time=world.clock(), detail=detail)


def test_machine_of_a_success_is_kept_when_that_was_asked_for() -> None:
    world = World()

    machine = kept_machine(world)

    assert world.machines.alive == [machine]


def test_machine_is_kept_however_often_the_run_is_concluded() -> None:
    world = World()
    machine = kept_machine(world)

    world.observe_agent(world.says_ready())

    assert world.machines.alive == [machine]


def test_machine_of_a_failure_is_ended() -> None:
    world = World()
    execution = to_training(world, spec=KEPT)

    world.observe_agent(world.says_ended(exit_code=3))
    execution.advance()

    assert (world.run().reason, world.machines.alive) == (Reason.USER_ERROR, [])


def test_second_run_trains_on_the_kept_machine_and_leaves_it_there() -> None:
    world = World()
    machine = kept_machine(world)

    execution = on(world, machine)
    execution.advance()
    job = world.bucket.jobs[machine]
    world.observe_agent(ended(world, OTHER_RUN_ID))
    execution.advance()

    assert (job.run_id, job.keep_machine, job.keep_machine_on_success) == (OTHER_RUN_ID, True, False)
    assert world.run(OTHER_RUN_ID).reason is Reason.COMPLETED
    assert world.machines.alive == [machine]


def test_run_for_a_machine_that_is_busy_is_refused_and_leaves_it_alone() -> None:
    world = World()
    machine = kept_machine(world)
    first, second = RunId("r-zzzzzzzzzzz2"), RunId("r-zzzzzzzzzzz3")
    on(world, machine, first).advance()

    execution = on(world, machine, second)
    execution.advance()

    refused = world.run(second)
    assert (refused.status, refused.reason) == (RunStatus.FAILED, Reason.INVALID_SPEC)
    assert f"busy with run {first}" in refused.message
    assert world.runs.attempt_of_machine(machine) == (first, 1)
    assert not world.run(first).status.is_terminal
    assert world.machines.alive == [machine]


def test_machine_is_busy_while_the_run_that_launched_it_goes_on() -> None:
    world = World()
    to_training(world, spec=KEPT)

    on(world, world.machine()).advance()

    assert world.run(OTHER_RUN_ID).reason is Reason.INVALID_SPEC
    assert RUN_ID in world.run(OTHER_RUN_ID).message


def test_run_on_a_kept_spot_machine_ends_with_it_and_launches_no_other() -> None:
    world = World()
    machine = kept_machine(world)
    execution = on(world, machine)
    execution.advance()

    world.machines.go(machine)
    world.observe_machine(world.state_change(machine, MachineState.TERMINATED))
    execution.advance()

    assert world.run(OTHER_RUN_ID).status is RunStatus.FAILED
    assert world.machines.alive == []


def test_late_word_of_a_machine_that_was_stopped_ends_no_run_that_began_after_it_was_started_again() -> None:
    world = World()
    machine = kept_machine(world)
    stopped = [world.state_change(machine, state) for state in (MachineState.STOPPING, MachineState.STOPPED)]
    world.clock.move(60)
    execution = on(world, machine)
    execution.advance()

    for event in stopped:
        world.observe_machine(event)
    world.observe_agent(ended(world, OTHER_RUN_ID))
    execution.advance()

    assert FactKind.GONE not in world.attempt(run_id=OTHER_RUN_ID).facts
    assert world.run(OTHER_RUN_ID).reason is Reason.COMPLETED


def test_kept_machine_goes_on_counting_in_the_budgets_after_its_run_has_ended() -> None:
    world = World()
    kept_machine(world)
    at_the_end = month_usd(world)

    world.clock.move(3_600)
    world.watch_limits()

    assert month_usd(world) > at_the_end
    reservation = world.runs.budgets.reservation(RUN_ID)
    assert reservation is not None
    assert reservation.held_usd == 0


# -- the regular look ------------------------------------------------------------------------------------------------


def look(world: World, *, after: timedelta) -> dict[str, Any]:
    """Look after a while, and again so long after that that a stray would be ended."""
    world.clock.move(after.total_seconds())
    first = world.reap_machines()
    world.clock.move(timing.REAPER_SECOND_LOOK.total_seconds())
    second = world.reap_machines()
    return {"texts": [deed["text"] for deed in (*first["deeds"], *second["deeds"])]}


ON_DEMAND = make_spec(keep_machine_s=86_400, purchase_option=PurchaseOption.ON_DEMAND)


def test_kept_machine_is_left_alone_within_its_time() -> None:
    world = World()
    machine = kept_machine(world)

    told = look(world, after=timedelta(minutes=45))

    assert told["texts"] == []
    assert world.machines.alive == [machine]


def test_idle_on_demand_machine_is_stopped_and_stays_so() -> None:
    world = World()
    machine = kept_machine(world, ON_DEMAND)

    told = look(world, after=timedelta(minutes=70))

    assert [text for text in told["texts"] if "was stopped, for nothing has trained on it" in text] == told["texts"]
    assert len(told["texts"]) == 1
    view = world.machines.machine(machine)
    assert view is not None
    assert view.state is MachineState.STOPPED


def test_idle_spot_machine_is_ended_for_it_cannot_be_stopped() -> None:
    world = World()
    kept_machine(world)

    told = look(world, after=timedelta(minutes=70))

    assert "was ended, for nothing has trained on it" in told["texts"][0]
    assert world.machines.alive == []


def test_machine_is_not_idle_while_a_run_trains_on_it() -> None:
    world = World()
    machine = kept_machine(world, ON_DEMAND)
    on(world, machine).advance()

    told = look(world, after=timedelta(hours=30))

    assert [text for text in told["texts"] if machine in text] == []
    assert world.machines.alive == [machine]


def test_kept_machine_is_ended_when_its_time_is_over() -> None:
    world = World()
    machine = kept_machine(world, ON_DEMAND)
    world.machines.stop(machine)

    told = look(world, after=timedelta(hours=24))

    assert "was ended, for it was to be kept until" in told["texts"][0]
    assert world.machines.terminated == [machine]


def test_machine_that_cannot_be_looked_up_keeps_no_other_from_its_end() -> None:
    world = World()
    machine = kept_machine(world)
    world.clock.move(timedelta(hours=25).total_seconds())
    failures = 0

    def before(method: str) -> None:
        nonlocal failures
        if method == "attempt_of_machine":
            failures += 1
            raise Throttled("The table is busy.")

    world.runs.before = before
    with pytest.raises(Throttled):
        world.reap_machines()
    world.runs.before = None
    world.reap_machines()
    told = look(world, after=timedelta(0))

    assert failures == 1
    assert "was ended" in told["texts"][0]
    assert machine not in world.machines.alive
