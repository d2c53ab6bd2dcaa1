"""A run's money: reserved at its admission, settled at its end, held for nobody that has ended."""

from decimal import Decimal
from threading import Barrier, Thread

import pytest

from runctl.errors import BudgetExceeded, StaleWriteError
from runctl.model.agent_event import EndedWhy
from runctl.model.budget import ACCOUNT, Budget, BudgetAction, BudgetPeriod, Ledger, Scope
from runctl.model.decision import StepState
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.names import State
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason, RunStatus
from runctl.policy.budget_ledger import opened
from tests.controller.stages import start, to_training
from tests.factories import RUN_ID, make_run, make_spec
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    """An account without budgets."""
    return World()


def set_budget(world: World, amount: str, scope: Scope = ACCOUNT, action: BudgetAction = BudgetAction.STOP_NEW) -> None:
    """Set a monthly budget."""
    budget = Budget(amount_usd=Decimal(amount), action=action, set_by="ada", set_at=world.clock())
    ledger = world.runs.budgets.ledger(scope)
    fresh = ledger or opened(scope, world.clock())
    assert world.runs.budgets.set_budget(fresh, BudgetPeriod.MONTH, budget, is_new=ledger is None)


def ledger(world: World, scope: Scope = ACCOUNT) -> Ledger:
    """Read a ledger that must be there."""
    found = world.runs.budgets.ledger(scope)
    assert found is not None
    return found


def spent(world: World) -> Decimal:
    """What the account has spent this month."""
    return ledger(world).periods[BudgetPeriod.MONTH].spent_usd


def costing(amount: str, **fields: object) -> dict[str, object]:
    """A run that may cost this much."""
    return {"spec": make_spec(max_cost_usd=Decimal(amount), **fields)}


def test_an_admitted_run_holds_what_it_may_cost(world: World) -> None:
    to_training(world, **costing("2.50"))

    assert {each.scope.key: each.reserved_usd for each in world.runs.budgets.ledgers()} == {
        "account": Decimal("2.50"),
        "project#vision": Decimal("2.50"),
        "user#ada": Decimal("2.50"),
    }


def test_a_run_that_names_no_limit_holds_a_fifth_more_than_its_estimate(world: World) -> None:
    to_training(world, estimated_usd=Decimal(10))

    assert ledger(world).reserved_usd == 12


def test_a_machine_that_was_given_costs_the_run_nothing(world: World) -> None:
    start(world, machine="i-0123456789abcdef0", **costing("2.50"))

    world.admit_run(StepState(run_id=RUN_ID))

    assert ledger(world).reserved_usd == 0


def test_a_run_that_does_not_fit_ends_before_anything_is_launched(world: World) -> None:
    set_budget(world, "2", Scope.of_key("project#vision"))
    execution = start(world, **costing("2.50"))

    execution.advance()

    run = world.run()
    assert (run.status, run.reason) == (RunStatus.STOPPED, Reason.BUDGET)
    assert run.attempt == 0
    assert world.machines.requests == []
    assert run.message == (
        "The budget of project vision, $2.00 a month, has no room for $2.50: $0.0000 is spent and $0.0000 reserved for "
        "open runs. Ask for less: --max-cost 2; wait for 2026-04-01, when the month begins again; let the budget be "
        "raised."
    )
    assert execution.state is State.RUN_STOPPED


def test_a_run_whose_cost_nobody_knows_is_not_admitted_under_a_budget(world: World) -> None:
    set_budget(world, "2")
    start(world)

    with pytest.raises(BudgetExceeded, match="Name the most that it may cost"):
        world.admit_run(StepState(run_id=RUN_ID))


def test_a_budget_that_only_tells_refuses_nobody(world: World) -> None:
    set_budget(world, "2", action=BudgetAction.NOTIFY)

    to_training(world, **costing("2.50"))

    assert ledger(world).reserved_usd == Decimal("2.50")


def test_a_repeated_admission_reserves_once(world: World) -> None:
    start(world, **costing("2.50"))

    for _ in range(3):
        world.admit_run(StepState(run_id=RUN_ID))

    assert ledger(world).reserved_usd == Decimal("2.50")


def test_a_lost_race_at_the_admission_reserves_nothing_and_is_tried_again(world: World) -> None:
    start(world, **costing("2.50"))
    raced: list[bool] = []

    def race(method: str) -> None:
        if method == "begin_attempt" and not raced:
            raced.append(True)
            world.runs.save_run(world.run().model_copy(update={"message": "somebody was here"}))

    world.runs.before = race
    world.admit_run(StepState(run_id=RUN_ID))

    assert raced
    assert world.run().attempt == 1
    assert ledger(world).reserved_usd == Decimal("2.50")


@pytest.mark.parametrize(
    ("why", "exit_code", "reason"),
    [
        (EndedWhy.EXITED, 0, Reason.COMPLETED),
        (EndedWhy.EXITED, 3, Reason.USER_ERROR),
        (EndedWhy.OUT_OF_MEMORY, None, Reason.OUT_OF_MEMORY),
        (EndedWhy.SETUP_FAILED, None, Reason.SETUP_FAILED),
        (EndedWhy.DEADLINE, 75, Reason.TIMEOUT),
    ],
)
def test_every_ending_releases_what_was_not_spent(
    world: World, why: EndedWhy, exit_code: int | None, reason: Reason
) -> None:
    execution = to_training(world, **costing("2.50"))

    world.observe_agent(world.says_ended(why, exit_code))
    execution.advance()

    assert world.run().reason is reason
    assert ledger(world).reserved_usd == 0
    assert Decimal(0) < spent(world) < Decimal("0.01")


def test_a_cancelled_run_is_settled(world: World) -> None:
    execution = to_training(world, **costing("2.50"))

    world.stop_run()
    world.observe_agent(world.says_ended(EndedWhy.STOP, 75))
    execution.advance()

    assert world.run().status is RunStatus.CANCELLED
    assert ledger(world).reserved_usd == 0


def test_a_run_whose_execution_was_stopped_from_outside_is_settled(world: World) -> None:
    execution = to_training(world, **costing("2.50"))

    execution.abort()
    world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))
    world.observe_agent(world.says_ended(EndedWhy.STOP, 75))

    assert world.run().status is RunStatus.CANCELLED
    assert ledger(world).reserved_usd == 0


def test_a_run_that_the_reaper_concludes_is_settled(world: World) -> None:
    start(world, **costing("2.50"))
    world.admit_run(StepState(run_id=RUN_ID))
    world.executions.statuses[RUN_ID] = ExecutionStatus.FAILED

    world.reap_machines()

    assert world.run().status is RunStatus.FAILED
    assert ledger(world).reserved_usd == 0


def test_a_repeated_conclusion_books_once(world: World) -> None:
    execution = to_training(world, **costing("2.50"))
    world.observe_agent(world.says_ended())
    execution.advance()
    booked = spent(world)

    for _ in range(2):
        world.conclude_run(StepState(run_id=RUN_ID, attempt=AttemptNumber(1)))

    assert spent(world) == booked


def test_an_end_that_could_not_be_written_settles_nothing(world: World) -> None:
    to_training(world, **costing("2.50"))
    world.observe_agent(world.says_ended())

    def race(method: str) -> None:
        if method == "save_run":
            world.runs.before = None
            world.runs.save_run(world.run().model_copy(update={"message": "somebody was here"}))
            world.runs.before = race

    world.runs.before = race
    with pytest.raises(StaleWriteError):
        world.conclude_run(StepState(run_id=RUN_ID))
    world.runs.before = None

    assert ledger(world).reserved_usd == Decimal("2.50")
    world.conclude_run(StepState(run_id=RUN_ID))
    assert ledger(world).reserved_usd == 0


def test_what_a_machine_costs_until_it_is_gone_is_booked_at_last(world: World) -> None:
    execution = to_training(world, **costing("2.50"))
    world.observe_agent(world.says_ended())
    execution.advance()
    before = spent(world)

    world.watch_limits()
    assert spent(world) == before

    world.clock.move(3_600)
    world.machines.go(world.machine())
    world.observe_machine(world.state_change(world.machine()))
    world.watch_limits()

    assert spent(world) > before
    assert world.runs.budgets.reservation(RUN_ID) is None


def test_a_hundred_admissions_at_once_against_a_budget_for_ten_admit_ten(world: World) -> None:
    set_budget(world, "10")
    ids = [RunId(f"r-1hqz5yk{number:05d}") for number in range(100)]
    for run_id in ids:
        world.runs.create_run(make_run(run_id, spec=make_spec(max_cost_usd=Decimal(1))))
    barrier, admitted, refused = Barrier(100), list[RunId](), list[RunId]()

    def admit(run_id: RunId) -> None:
        barrier.wait()
        while True:
            try:
                world.admit_run(StepState(run_id=run_id))
            except StaleWriteError:
                continue
            except BudgetExceeded:
                refused.append(run_id)
                return
            admitted.append(run_id)
            return

    threads = [Thread(target=admit, args=(run_id,)) for run_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(admitted), len(refused)) == (10, 90)
    assert ledger(world).reserved_usd == 10


def test_a_run_that_waits_for_capacity_goes_on_holding_its_money(world: World) -> None:
    world.machines.refusals = {"t3.micro": "InsufficientInstanceCapacity"}
    execution = start(world, **costing("2.50"))

    assert execution.advance() is State.WAIT_FOR_CAPACITY

    assert ledger(world).reserved_usd == Decimal("2.50")
