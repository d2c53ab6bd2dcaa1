"""What a kept machine costs after its run has ended: started again, stopped, in budgets, figures and the ledger."""

import random
from decimal import Decimal

import pytest

from runctl.controller.conclusion import Concluding
from runctl.controller.kept_machines import stop_kept
from runctl.errors import RunctlError, Throttled
from runctl.model.agent_event import AgentEventKind, EndedWhy
from runctl.model.budget import ACCOUNT, Budget, BudgetAction, BudgetPeriod, Scope
from runctl.model.ids import InstanceId
from runctl.model.machine import MachineState
from runctl.model.names import Metric, Tag
from runctl.model.run import PurchaseOption
from runctl.model.service_events import BusEvent, MachineEvent
from runctl.model.status import Reason
from runctl.model.timeline import TimelineKind
from runctl.policy.budget_ledger import opened
from runctl.policy.budget_limits import Reached
from runctl.policy.meter import beside_usd_per_hour
from runctl.policy.rates import DISK_USD_PER_GIB_HOUR
from tests.controller.test_kept_machines import OTHER_RUN_ID, ended, kept_machine, on
from tests.factories import RUN_ID, make_detail, make_end, make_run, make_spec
from tests.fakes.state_machine import Execution
from tests.fakes.world import World

HOUR = 3_600
SPEC = make_spec(keep_machine_s=10 * 86_400, purchase_option=PurchaseOption.ON_DEMAND)
RUNNING = Decimal("0.10") + beside_usd_per_hour(100)
STOPPED = 100 * DISK_USD_PER_GIB_HOUR


def stop(world: World, machine: InstanceId, *, told: bool = True) -> None:
    world.machines.stop(machine)
    if told:
        world.observe_machine(world.state_change(machine, MachineState.STOPPING))
        world.observe_machine(world.state_change(machine, MachineState.STOPPED))


def start(world: World, machine: InstanceId, *, told: bool = True) -> None:
    world.machines.start(machine)
    if told:
        world.observe_machine(world.state_change(machine, MachineState.PENDING))
        world.observe_machine(world.state_change(machine, MachineState.RUNNING))


def spent_usd(world: World) -> Decimal:
    """What the account's ledger says is spent ever."""
    ledger = world.runs.budgets.ledger(ACCOUNT)
    assert ledger is not None
    return ledger.periods[BudgetPeriod.TOTAL].spent_usd


def watch(world: World) -> None:
    world.watch_costs()
    world.watch_limits()


def near(usd: Decimal, expected: Decimal) -> bool:
    return abs(usd - expected) < Decimal("0.0005")


def until_now(world: World) -> Decimal:
    """How many hours ago EC2 launched the machine."""
    launched_at = world.attempt(1).launched_at
    assert launched_at is not None
    return Decimal(str((world.clock() - launched_at).total_seconds() / HOUR))


@pytest.mark.parametrize("told", [True, False])
def test_machine_that_was_stopped_and_started_again_is_metered_and_settled_once(told: bool) -> None:
    world = World()
    machine = kept_machine(world, SPEC)
    watch(world)
    world.clock.move(HOUR)
    stop(world, machine, told=told)
    first = until_now(world)
    for _ in range(3):
        watch(world)
    world.clock.move(20 * HOUR)
    watch(world)
    start(world, machine, told=told)
    watch(world)
    world.clock.move(3 * HOUR)
    watch(world)
    world.machines.terminate(machine)
    world.machines.go(machine, "Client.UserInitiatedShutdown", state=MachineState.TERMINATED)
    for _ in range(3):
        watch(world)

    expected = (first + 3) * RUNNING + 20 * STOPPED
    assert near(world.run().settled_usd, expected)
    assert near(spent_usd(world), expected)
    assert [near(line.usd, expected) for line in world.runs.ledger] == [True]
    assert world.runs.budgets.reservation(RUN_ID) is None


def test_stopped_machine_is_not_settled_and_its_disk_counts_in_the_budgets() -> None:
    world = World()
    machine = kept_machine(world, SPEC)
    stop(world, machine)
    watch(world)
    before = spent_usd(world)

    world.clock.move(10 * HOUR)
    watch(world)

    assert near(spent_usd(world) - before, 10 * STOPPED)
    assert world.attempt(1).settlement is None


def test_burn_rate_and_forecast_hold_kept_machines() -> None:
    world = World()
    machine = kept_machine(world, SPEC)

    world.watch_costs()
    running = world.runs.figures()
    stop(world, machine)
    world.watch_costs()
    stopped = world.runs.figures()

    assert running is not None
    assert stopped is not None
    assert near(running.usd_per_hour, RUNNING)
    assert near(stopped.usd_per_hour, STOPPED)
    until = world.run().kept_until
    assert until is not None
    left = Decimal(str((until - world.clock()).total_seconds() / HOUR))
    assert near(running.forecast_usd, left * RUNNING)
    assert near(stopped.forecast_usd, left * STOPPED)
    assert world.metrics.values[Metric.USD_PER_HOUR][-1] == pytest.approx(float(STOPPED), abs=1e-4)
    assert (running.runs, running.by_pool.keys()) == ({}, {"t3.micro us-east-1a on-demand"})


def test_stop_while_another_run_trains_on_it_is_metered_with_the_run_that_launched_it() -> None:
    world = World()
    machine = kept_machine(world, SPEC)
    execution = on(world, machine)
    execution.advance()
    world.observe_agent(ended(world, OTHER_RUN_ID))
    execution.advance()
    world.clock.move(HOUR)
    stop(world, machine)
    first = until_now(world)
    world.clock.move(5 * HOUR)

    watch(world)

    assert near(spent_usd(world), first * RUNNING + 5 * STOPPED)


@pytest.mark.parametrize("seed", range(25))
def test_ledger_equals_the_machine_seconds_whatever_events_are_lost_and_however_often_costs_are_watched(
    seed: int,
) -> None:
    chance = random.Random(seed)
    world = World()
    machine = kept_machine(world, SPEC)
    world.clock.move(60 - world.clock().second)
    running, stopped = until_now(world), Decimal(0)
    is_running, late = True, list[MachineEvent]()
    for _ in range(60):
        seconds = chance.randint(60, 7_200)
        world.clock.move(seconds)
        if is_running:
            running += Decimal(seconds) / HOUR
        else:
            stopped += Decimal(seconds) / HOUR
        if chance.random() < 0.3:
            told = chance.random() < 0.5
            (stop if is_running else start)(world, machine, told=told)
            is_running = not is_running
            late.append(world.state_change(machine, MachineState.RUNNING if is_running else MachineState.STOPPING))
            # Somebody looks before it changes again.
            watch(world)
        for _ in range(chance.randint(0, 2)):
            watch(world)
        if late and chance.random() < 0.3:
            world.observe_machine(chance.choice(late))
    watch(world)

    assert near(spent_usd(world), running * RUNNING + stopped * STOPPED)


# -- a budget that stops all -----------------------------------------------------------------------------------------


def stop_all(world: World, scope: str = "account") -> None:
    """Set a monthly budget that is used up."""
    of = Scope.of_key(scope)
    ledger = world.runs.budgets.ledger(of)
    budget = Budget(amount_usd=Decimal("0.000001"), action=BudgetAction.STOP_ALL, set_by="ada", set_at=world.clock())
    fresh = ledger or opened(of, world.clock())
    assert world.runs.budgets.set_budget(fresh, BudgetPeriod.MONTH, budget, is_new=ledger is None)


def state_of(world: World, machine: InstanceId) -> MachineState:
    view = world.machines.machine(machine)
    assert view is not None
    return view.state


def test_budget_that_stops_all_stops_an_idle_kept_machine_once_and_says_so() -> None:
    world = World()
    machine = kept_machine(world, SPEC)
    stop_all(world, "user#ada")

    answers = [world.watch_limits() for _ in range(3)]

    assert [answer["machines_stopped_by_budgets"] for answer in answers] == [1, 0, 0]
    assert state_of(world, machine) is MachineState.STOPPED
    told = [sent for sent in world.notifications.sent if "kept machine" in sent[0]]
    assert len(told) == 1
    assert machine in told[0][1]
    assert "the budget of user ada" in told[0][0]


def test_budget_that_stops_all_ends_an_idle_spot_machine() -> None:
    world = World()
    machine = kept_machine(world)
    stop_all(world)

    world.watch_limits()

    assert world.machines.terminated == [machine]
    assert TimelineKind.MACHINE_TERMINATED in world.timeline()


def test_budget_that_stops_all_lets_the_run_on_a_kept_machine_save_first() -> None:
    world = World()
    machine = kept_machine(world, SPEC)
    execution = on(world, machine)
    execution.advance()
    stop_all(world, "user#ada")

    world.watch_limits()
    while_saving = state_of(world, machine)
    data = make_end(EndedWhy.STOP, 75)
    detail = make_detail(world.attempt(run_id=OTHER_RUN_ID), AgentEventKind.TRAINING_ENDED, data, at=world.clock())
    world.observe_agent(BusEvent(time=world.clock(), detail=detail))
    execution.advance()
    world.watch_limits()

    assert while_saving is MachineState.PENDING or while_saving is MachineState.RUNNING
    assert world.run(OTHER_RUN_ID).reason is Reason.BUDGET
    assert world.commands.verbs[-1] == "stop"
    assert state_of(world, machine) is MachineState.STOPPED


def test_run_of_somebody_else_on_the_machine_of_a_spent_budget_saves_and_leaves_too() -> None:
    world = World()
    machine = kept_machine(world, SPEC)
    world.runs.create_run(make_run(run_id=OTHER_RUN_ID, machine=machine, user="bob"))
    Execution(world, OTHER_RUN_ID).advance()
    stop_all(world, "user#ada")

    world.watch_limits()

    request = world.run(OTHER_RUN_ID).stop_request
    assert request is not None
    assert request.requested_by == "the budget of user ada"


def test_budget_of_another_scope_leaves_a_kept_machine_alone() -> None:
    world = World()
    machine = kept_machine(world, SPEC)
    stop_all(world, "project#other")

    world.watch_limits()

    assert world.machines.alive == [machine]


def test_protected_machine_is_left_alone_by_budgets() -> None:
    world = World()
    machine = kept_machine(world, SPEC)
    view = world.machines.machine(machine)
    assert view is not None
    world.machines.add(view.model_copy(update={"tags": {**view.tags, Tag.PROTECTED: ""}}))
    stop_all(world)

    world.watch_limits()

    assert world.machines.alive == [machine]


def test_kept_machine_that_cannot_be_stopped_keeps_no_other_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    machine = kept_machine(world, SPEC)
    view = world.machines.machine(machine)
    assert view is not None
    other = InstanceId("i-0fffffffffffffff0")
    world.machines.add(view.model_copy(update={"instance_id": other}))
    launchers = [world.attempt(1), world.attempt(1).model_copy(update={"instance_id": other})]
    ports = Concluding(world.runs, world.machines, world.bucket, world.schedules, world.notifications, world.clock)
    faults: list[RunctlError] = []
    stopped = world.machines.stop

    def refuse_first(instance_id: InstanceId) -> None:
        if instance_id == machine:
            raise Throttled("EC2 is busy.")
        stopped(instance_id)

    monkeypatch.setattr(world.machines, "stop", refuse_first)
    deeds = stop_kept(
        launchers,
        Reached(Reason.BUDGET, "It is used up."),
        ports,
        tokens=world.tokens,
        commands=world.commands,
        at=world.clock(),
        by="a budget",
        faults=faults,
    )

    assert (state_of(world, machine).is_going, state_of(world, other)) == (False, MachineState.STOPPED)
    assert ([type(fault) for fault in faults], len(deeds)) == ([Throttled], 1)
