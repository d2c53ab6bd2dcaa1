"""A live run is extended: admitted to more, and nobody stops it at the limit that it had."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from runctl.controller.conclusion import Concluding
from runctl.controller.limits import enforce
from runctl.errors import BudgetExceeded, InvalidSpec
from runctl.model.agent_event import EndedWhy
from runctl.model.attempt import FactKind
from runctl.model.budget import ACCOUNT, Budget, BudgetPeriod
from runctl.model.run import LimitKind
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from runctl.policy.budget_ledger import opened
from tests.controller.stages import finish, start, to_fence, to_preparing, to_training
from tests.controller.test_limits import accrued, costing, look_until_stopping, look_until_told, wait_for_look
from tests.factories import RUN_ID
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    """An account."""
    return World()


def extend(world: World, **extension: Any) -> str:
    """Extend the run."""
    return str(world.stop_run(action="extend", extension=extension)["message"])


def held(world: World) -> Decimal:
    """What is reserved in the account."""
    ledger = world.runs.budgets.ledger(ACCOUNT)
    assert ledger is not None
    return ledger.reserved_usd


def limit_account(world: World, amount: str) -> None:
    """Give the account a budget a month."""
    stored = world.runs.budgets.ledger(ACCOUNT)
    budget = Budget(amount_usd=Decimal(amount), set_by="ada", set_at=world.clock())
    read = stored or opened(ACCOUNT, world.clock())
    assert world.runs.budgets.set_budget(read, BudgetPeriod.MONTH, budget, is_new=stored is None)


def test_a_run_near_its_money_goes_on_beyond_the_old_limit(world: World) -> None:
    execution = to_training(world, **costing("0.10"))
    look_until_told(world, execution)

    said = extend(world, max_cost_usd="0.30")
    moved = world.schedules.looks[RUN_ID]
    look_until_stopping(world, execution)

    assert said == "The run may cost $0.3000 instead of $0.1000 (ada)."
    assert moved > world.run().created_at + timedelta(hours=4)
    assert held(world) == Decimal("0.30")
    assert world.timeline().count(TimelineKind.EXTENDED) == 1
    assert world.timeline().count(TimelineKind.LIMIT_NEAR) == 2
    assert [subject for subject, _ in world.notifications.sent] == ["runctl: digits has used 80 % of its money"] * 2
    assert Decimal("0.24") <= accrued(world) <= Decimal("0.30")


def test_a_budget_without_room_refuses_and_changes_nothing(world: World) -> None:
    to_training(world, **costing("0.10"))
    limit_account(world, "0.25")
    before = world.run()

    with pytest.raises(BudgetExceeded, match=r"no room for \$0\.2000.*Nothing was changed"):
        extend(world, max_cost_usd="0.30", max_runtime_s=200_000)

    assert world.run() == before
    assert held(world) == Decimal("0.10")
    assert world.bucket.limits == {}


def test_the_agent_finds_its_new_time_and_the_schedule_is_moved(world: World) -> None:
    to_training(world, **costing("50", max_runtime_s=3_600))
    before = world.schedules.looks[RUN_ID]

    extend(world, max_runtime_s=7_200, added_to_runtime_s=3_600)

    word = world.bucket.limits[world.machine()]
    assert (word.run_id, word.attempt, word.max_runtime_s) == (RUN_ID, 1, 7_200)
    assert world.schedules.looks[RUN_ID] > before
    started = world.attempt().facts[FactKind.STARTED].at
    wait_for_look(world)
    wait_for_look(world)
    assert world.clock() >= started + timedelta(seconds=7_200)


def test_a_run_that_is_extended_while_it_prepares_has_the_new_time(world: World) -> None:
    to_preparing(world, **costing("50", max_runtime_s=3_600))

    extend(world, max_runtime_s=7_200)

    assert world.bucket.limits[world.machine()].max_runtime_s == 7_200


def test_a_run_that_is_not_admitted_yet_is_admitted_with_its_new_limits(world: World) -> None:
    execution = start(world, **costing("0.10"))

    extend(world, max_cost_usd="0.30")
    execution.advance()

    assert held(world) == Decimal("0.30")


def test_both_machines_of_a_hand_over_hear_of_it(world: World) -> None:
    to_fence(world, **costing("50", max_runtime_s=36_000))

    extend(world, max_runtime_s=72_000)

    assert set(world.bucket.limits) == {world.machine(1), world.machine(2)}


def test_the_same_addition_asked_for_twice_is_added_once(world: World) -> None:
    to_training(world, **costing("0.10"))
    asked = {"max_cost_usd": "0.30", "added_to_cost_usd": "0.10"}

    extend(world, **asked)
    world.bucket.limits.clear()
    again = extend(world, **asked)

    assert again == "The run may use that already."
    assert held(world) == Decimal("0.30")
    assert world.timeline().count(TimelineKind.EXTENDED) == 1
    assert world.bucket.limits  # told again, for the first word may not have got through


def test_an_addition_to_what_somebody_else_has_changed_is_refused(world: World) -> None:
    to_training(world, **costing("0.10"))
    extend(world, max_cost_usd="0.20", added_to_cost_usd="0.10")

    with pytest.raises(InvalidSpec, match=r"it is \$0\.2000 now\. Nothing was changed"):
        extend(world, max_cost_usd="0.40", added_to_cost_usd="0.10")

    assert held(world) == Decimal("0.20")


@pytest.mark.parametrize("ending", ["ended", "asked to stop"])
def test_a_run_that_ends_or_has_ended_is_not_extended(world: World, ending: str) -> None:
    execution = to_training(world, **costing("0.10"))
    world.stop_run()
    if ending == "ended":
        world.observe_agent(world.says_ended(EndedWhy.STOP, 75))
        execution.advance()

    with pytest.raises(InvalidSpec, match=ending.replace("asked", "was asked")):
        extend(world, max_cost_usd="0.30")

    assert world.run().spec.max_cost_usd == Decimal("0.10")


@pytest.mark.parametrize(
    ("extension", "words"),
    [
        ({"max_cost_usd": "0.05"}, "would be less"),
        ({"max_runtime_s": 60}, "would be less"),
        ({"max_runtime_s": 31 * 86_400}, "more than the"),
        ({"max_cost_usd": "1e12"}, "more than any run may cost"),
    ],
)
def test_limits_that_no_run_may_have_are_refused(world: World, extension: dict[str, Any], words: str) -> None:
    to_training(world, **costing("0.10"))
    before = world.run()

    with pytest.raises(InvalidSpec, match=words):
        extend(world, **extension)

    assert world.run() == before


def test_a_stop_that_was_decided_under_the_old_limit_does_not_stop_the_extended_run(world: World) -> None:
    to_training(world, **costing("0.10"))
    world.clock.move(9_000)
    read = world.run()
    attempts = world.runs.attempts(RUN_ID)
    ports = Concluding(**world.ports)

    extend(world, max_cost_usd="0.30")
    said = enforce(read, attempts, ports, tokens=world.tokens, commands=world.commands)

    assert said == "The run was extended meanwhile."
    assert world.run().stop_request is None
    assert world.run().status is RunStatus.RUNNING


def test_a_training_that_left_at_the_old_time_goes_on_elsewhere(world: World) -> None:
    execution = to_training(world, **costing("50", max_runtime_s=3_600))
    for _ in range(6):
        world.clock.move(590)
        execution.heartbeat()

    extend(world, max_runtime_s=36_000)
    world.observe_agent(world.says_ended(EndedWhy.DEADLINE, 75))
    execution.advance()
    world.machines.go(world.machine(1))
    world.observe_machine(world.state_change(world.machine(1)))
    execution.advance()
    finish(world, execution)

    assert (world.run().status, world.attempt(1).reason) == (RunStatus.SUCCEEDED, Reason.TIMEOUT)


def test_a_threshold_of_the_other_kind_is_not_told_again(world: World) -> None:
    execution = to_training(world, **costing("0.10"))
    look_until_told(world, execution)

    extend(world, max_runtime_s=200_000)

    assert world.run().limits_told == (LimitKind.MONEY,)
