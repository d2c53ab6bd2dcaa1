"""A run's limits of money and time: told at four fifths, saved and stopped before the end, looked at in time."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from runctl.controller.limits import SOONEST
from runctl.controller.watch_costs import in_force
from runctl.model.agent_event import EndedWhy
from runctl.model.budget import Budget, BudgetAction, BudgetPeriod, Scope
from runctl.model.price import PriceStep
from runctl.model.run import LimitKind
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from runctl.policy.budget_ledger import opened
from runctl.policy.cost import run_cost
from tests.controller.stages import get_ready, take_back, to_training, to_wait_for_ssm, train
from tests.factories import RUN_ID, make_spec
from tests.fakes.state_machine import Execution
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    """An account."""
    return World()


def costing(amount: str, **fields: object) -> dict[str, object]:
    """A run that may cost this much."""
    return {"spec": make_spec(max_cost_usd=Decimal(amount), **fields)}


def accrued(world: World) -> Decimal:
    """What the run has cost at the prices in force."""
    return run_cost(in_force(world.runs.attempts(RUN_ID), world.prices, world.clock()), world.clock()).accrued_usd


def wait_for_look(world: World, execution: Execution | None = None) -> datetime:
    """Let time pass until the run's schedule fires, and fire it."""
    at = world.schedules.looks.pop(RUN_ID)
    world.clock.at = max(world.clock(), at)
    if execution is not None:
        execution.heartbeat()
    world.stop_run(action="limits", requested_by="schedule")
    return at


def look_until_told(world: World, execution: Execution) -> None:
    """Let the schedule fire until people were told."""
    while not world.run().limits_told:
        wait_for_look(world, execution)


def look_until_stopping(world: World, execution: Execution) -> None:
    """Let the schedule fire until the run was asked to stop."""
    while world.run().stop_request is None:
        wait_for_look(world, execution)


def test_the_moment_is_set_when_there_is_a_machine_to_pay(world: World) -> None:
    to_wait_for_ssm(world, **costing("0.10", max_runtime_s=86_400))

    look = world.schedules.looks[RUN_ID]
    assert world.clock() + timedelta(hours=1) < look < world.clock() + timedelta(hours=2.5)
    assert world.run().limits_looked_at == look


def test_people_are_told_at_four_fifths_of_the_money_with_the_command_filled_in(world: World) -> None:
    execution = to_training(world, **costing("0.10"))

    look_until_told(world, execution)

    assert accrued(world) / Decimal("0.10") == pytest.approx(Decimal("0.8"), abs=Decimal("0.01"))
    ((subject, text),) = world.notifications.sent
    assert subject == "runctl: digits has used 80 % of its money"
    assert f"runctl extend {RUN_ID} --max-cost +1" in text
    assert world.timeline().count(TimelineKind.LIMIT_NEAR) == 1


def test_people_are_told_once(world: World) -> None:
    execution = to_training(world, **costing("0.10"))
    look_until_told(world, execution)

    for _ in range(3):
        world.stop_run(action="limits")

    assert len(world.notifications.sent) == 1


def test_the_run_saves_and_stops_before_its_money_is_gone(world: World) -> None:
    execution = to_training(world, **costing("0.10"))

    look_until_stopping(world, execution)
    assert world.commands.verbs == ["start", "stop"]
    world.clock.move(300)
    world.observe_agent(world.says_ended(EndedWhy.STOP, 75))
    execution.advance()

    run = world.run()
    assert (run.status, run.reason) == (RunStatus.STOPPED, Reason.BUDGET)
    assert Decimal("0.09") < accrued(world) <= Decimal("0.10")


def test_a_run_without_money_for_another_machine_stops(world: World) -> None:
    execution = to_training(world, **costing("0.10"))
    world.clock.move(8_300)
    execution.heartbeat()

    take_back(world)
    execution.advance()

    assert (world.run().status, world.run().reason) == (RunStatus.STOPPED, Reason.BUDGET)


def test_both_machines_of_a_hand_over_count(world: World) -> None:
    execution = to_training(world, **costing("0.10"))
    alone = world.schedules.looks[RUN_ID]
    world.clock.move(3_700)
    take_back(world)
    execution.advance()
    get_ready(world, execution)
    train(world)

    look_until_stopping(world, execution)

    assert world.clock() < alone + timedelta(hours=3)
    assert accrued(world) <= Decimal("0.10")


def test_the_time_limit_is_ours_when_the_agent_does_not_keep_it(world: World) -> None:
    execution = to_training(world, **costing("50", max_runtime_s=600))

    look_until_stopping(world, execution)

    request = world.run().stop_request
    assert request is not None
    assert request.reason is Reason.TIMEOUT
    started = world.attempt().facts
    assert world.clock() - min(fact.at for fact in started.values()) < timedelta(seconds=900)
    assert LimitKind.TIME in world.run().limits_told


def test_a_training_that_never_begins_is_stopped_too(world: World) -> None:
    execution = to_wait_for_ssm(world, **costing("50", max_runtime_s=600))
    get_ready(world, execution)

    look_until_stopping(world, execution)

    request = world.run().stop_request
    assert request is not None
    assert request.reason is Reason.TIMEOUT


def test_a_schedule_that_fires_too_early_looks_again_later(world: World) -> None:
    execution = to_training(world, **costing("0.10"))
    first = world.schedules.looks[RUN_ID]

    world.clock.at = first - timedelta(seconds=45)
    world.stop_run(action="limits")

    assert world.run().stop_request is None
    assert first - timedelta(seconds=46) < world.schedules.looks[RUN_ID]
    look_until_stopping(world, execution)


def test_a_schedule_for_a_run_that_has_ended_changes_nothing(world: World) -> None:
    execution = to_training(world, **costing("0.10"))
    world.observe_agent(world.says_ended())
    execution.advance()
    before = world.run()

    assert "ended already" in world.stop_run(action="limits")["message"]

    assert world.run() == before
    assert world.schedules.looks == {}


def test_no_look_is_set_for_a_moment_that_is_past(world: World) -> None:
    to_training(world, **costing("0.0001"))

    assert world.schedules.looks[RUN_ID] >= world.run().updated_at + SOONEST - timedelta(seconds=90)
    wait_for_look(world)

    assert world.run().stop_request is not None


# -- the second line, and the budgets of many runs -----------------------------------------------------------------


def set_budget(world: World, amount: str, **fields: object) -> None:
    """Set a daily budget of the project that allows what is admitted already."""
    scope = Scope.of_key("project#vision")
    ledger = world.runs.budgets.ledger(scope)
    budget = Budget.model_validate({"amount_usd": Decimal(amount), "set_by": "ada", "set_at": world.clock(), **fields})
    fresh = ledger or opened(scope, world.clock())
    assert world.runs.budgets.set_budget(fresh, BudgetPeriod.DAY, budget, is_new=ledger is None)


def test_the_cost_watch_stops_what_no_schedule_stopped(world: World) -> None:
    execution = to_training(world, **costing("0.10"))
    world.schedules.looks.clear()
    world.clock.move(8_000)
    execution.heartbeat()

    world.watch_limits()

    request = world.run().stop_request
    assert request is not None
    assert request.reason is Reason.BUDGET


def test_the_cost_watch_sets_a_lost_schedule_again(world: World) -> None:
    to_training(world, **costing("0.10"))
    lost = world.schedules.looks.pop(RUN_ID)
    world.clock.at = lost + timedelta(seconds=1)

    world.watch_limits()

    assert RUN_ID in world.schedules.looks or world.run().stop_request is not None


def test_the_cost_watch_leaves_a_schedule_that_is_right(world: World) -> None:
    to_training(world, **costing("0.10"))
    before = world.run().version

    world.watch_limits()

    assert world.run().version == before


@pytest.mark.parametrize("interval_s", [60, 300])
def test_when_the_price_jumps_tenfold_no_more_is_spent_than_the_documented_bound(world: World, interval_s: int) -> None:
    execution = to_training(world, **costing("0.40"))
    world.clock.move(1_800)
    raised = Decimal("0.40")
    world.prices.moved.append(PriceStep(since=world.clock(), usd_per_hour=raised))
    world.schedules.looks.clear()

    while world.run().stop_request is None:
        world.clock.move(interval_s)
        execution.heartbeat()
        world.watch_limits()
    world.clock.move(300 + 60)
    world.observe_agent(world.says_ended(EndedWhy.STOP, 75))
    execution.advance()

    bound = (raised + Decimal("0.02")) * (interval_s + 300 + 60) / 3_600
    assert world.run().reason is Reason.BUDGET
    assert accrued(world) <= Decimal("0.40") + bound


def test_thresholds_of_a_budget_are_told_once_each(world: World) -> None:
    execution = to_training(world, **costing("1"))
    set_budget(world, "2", action=BudgetAction.NOTIFY, thresholds=(5, 10, 100))
    subjects: list[str] = []

    for _ in range(24):
        world.clock.move(900)
        execution.heartbeat()
        world.watch_limits()
        subjects = [subject for subject, _ in world.notifications.sent]

    assert subjects == [
        "runctl: 5 % of the budget of project vision is spent",
        "runctl: 10 % of the budget of project vision is spent",
    ]


def test_a_budget_that_stops_all_lets_the_runs_of_its_scope_save_and_stop(world: World) -> None:
    execution = to_training(world, **costing("0.30"))
    set_budget(world, "0.30", action=BudgetAction.STOP_ALL)
    world.runs.save_run(world.run().model_copy(update={"spec": make_spec(max_cost_usd=Decimal(9))}))

    while world.run().stop_request is None:
        world.clock.move(300)
        execution.heartbeat()
        world.watch_limits()
    world.observe_agent(world.says_ended(EndedWhy.STOP, 75))
    execution.advance()

    run = world.run()
    assert (run.status, run.reason) == (RunStatus.STOPPED, Reason.BUDGET)
    assert "the budget of project vision" in run.message
    assert world.commands.verbs == ["start", "stop"]


def test_what_was_spent_yesterday_is_not_reserved_today(world: World) -> None:
    execution = to_training(world, **costing("5", max_runtime_s=7 * 86_400))
    world.clock.move(86_400)
    execution.heartbeat()

    world.watch_limits()

    (account, *_) = world.runs.budgets.ledgers()
    spent = account.periods[BudgetPeriod.DAY].spent_usd
    assert account.reserved_usd + account.periods[BudgetPeriod.TOTAL].spent_usd == 5
    assert 0 < spent < account.periods[BudgetPeriod.TOTAL].spent_usd


def test_what_an_index_shows_late_stops_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes are eventually consistent, each item for itself: an attempt may still look unsettled when its cost stands
    in its run already. Counted twice, it would stop a run that has a third of its money left."""
    execution = to_training(world, **costing("0.12"))
    world.clock.move(4_000)
    execution.heartbeat()
    late = tuple(world.runs.unsettled_attempts())
    take_back(world)
    execution.advance()
    world.clock.move(900)
    world.watch_costs()
    get_ready(world, execution)
    train(world)
    assert world.run().settled_usd > 0

    monkeypatch.setattr(world.runs, "unsettled_attempts", lambda: iter((*late, world.attempt(2))), raising=True)
    world.watch_limits()

    assert (world.run().stop_request, world.run().limits_told) == (None, ())
