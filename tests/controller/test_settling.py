"""What machines cost is settled once, by EC2's word, whether their run has ended or not."""

from datetime import timedelta
from decimal import Decimal

from runctl.model.machine import SPOT_TERMINATION, MachineState
from runctl.model.price import PriceStep
from runctl.model.run import PurchaseOption
from runctl.model.status import RunStatus
from runctl.policy.meter import beside_usd_per_hour
from runctl.policy.settling import EVIDENCE_WITHIN
from tests.controller.stages import to_training
from tests.factories import after, make_spec
from tests.fakes.world import World

HOUR = 3_600
BESIDE = float(beside_usd_per_hour(100))


def ended_after(world: World, hours: float) -> None:
    """Let a training run for so long and end well, and its machine be gone."""
    execution = to_training(world)
    world.clock.move(hours * HOUR)
    world.observe_agent(world.says_ended())
    execution.advance()
    world.observe_machine(world.state_change(world.machine(1)))
    terminate(world)


def terminate(world: World) -> None:
    """Let EC2 show the machine as terminated."""
    view = world.machines.machine(world.machine(1))
    assert view is not None
    world.machines.add(view.model_copy(update={"state": MachineState.TERMINATED}))


def hours_of(world: World) -> float:
    """How long EC2 charged for the machine."""
    settlement = world.attempt(1).settlement
    assert settlement is not None
    return (settlement.charged_until - settlement.charged_from).total_seconds() / HOUR


def test_a_machine_that_has_ended_is_settled_though_its_run_has_ended() -> None:
    world = World()
    ended_after(world, 2)

    answer = world.watch_costs()

    run, settlement = world.run(), world.attempt(1).settlement
    assert run.status is RunStatus.SUCCEEDED
    assert answer["settled"] == 1
    assert settlement is not None
    assert run.settled_usd == settlement.usd
    assert abs(float(run.settled_usd) - hours_of(world) * (0.04 + BESIDE)) < 1e-4
    assert abs(float(run.settled_on_demand_usd) - hours_of(world) * (0.10 + BESIDE)) < 1e-4
    (line,) = world.runs.ledger
    assert (line.usd, line.project, line.user, line.instance_type) == (run.settled_usd, "vision", "ada", "t3.micro")


def test_a_machine_is_settled_once_whatever_is_repeated() -> None:
    world = World()
    ended_after(world, 1)

    settled = [world.watch_costs()["settled"] for _ in range(3)]

    assert settled == [1, 0, 0]
    assert len(world.runs.ledger) == 1


def test_a_running_machine_is_not_settled() -> None:
    world = World()
    to_training(world)
    world.clock.move(5 * HOUR)

    assert world.watch_costs()["settled"] == 0


def test_what_ec2_only_says_later_of_the_end_makes_the_machine_free() -> None:
    world = World()
    to_training(world)
    world.clock.move(HOUR / 2)
    machine = world.machine()
    view = world.machines.machine(machine)
    assert view is not None
    world.observe_machine(world.state_change(machine))
    early = world.watch_costs()["settled"]
    world.machines.add(view.model_copy(update={"state": MachineState.TERMINATED, "state_reason": SPOT_TERMINATION}))

    late = world.watch_costs()["settled"]

    settlement = world.attempt(1).settlement
    assert (early, late) == (0, 1)
    assert settlement is not None
    assert settlement.is_free
    assert abs(float(settlement.usd) - hours_of(world) * BESIDE) < 1e-4


def test_a_machine_that_ec2_has_forgotten_is_settled_by_what_is_known() -> None:
    world = World()
    ended_after(world, 1)
    world.machines.forget_all()

    assert world.watch_costs()["settled"] == 1


def test_evidence_is_not_waited_for_for_ever() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.says_ended())
    execution.advance()
    world.observe_machine(world.state_change(world.machine(1)))

    early = world.watch_costs()["settled"]
    world.clock.move(EVIDENCE_WITHIN.total_seconds() + 60)

    assert (early, world.watch_costs()["settled"]) == (0, 1)


def test_a_machine_whose_end_no_event_told_is_found_gone_and_settled() -> None:
    world = World()
    execution = to_training(world)
    world.clock.move(HOUR)
    world.machines.terminate_takes = True
    world.observe_agent(world.says_ended())
    execution.advance()
    still_there = world.watch_costs()
    world.machines.finish_terminating()
    terminate(world)
    assert world.attempt(1).gone_at is None

    seen, settled = world.watch_costs(), world.watch_costs()

    assert (still_there["settled"], seen["settled"], settled["settled"]) == (0, 0, 1)


def test_a_spot_machine_is_billed_by_the_prices_in_force() -> None:
    world = World()
    world.prices.moved = [PriceStep(since=after(HOUR), usd_per_hour=Decimal("0.40"))]
    ended_after(world, 2)

    world.watch_costs()

    settlement = world.attempt(1).settlement
    assert settlement is not None
    assert [str(step.usd_per_hour) for step in settlement.steps] == ["0.04", "0.40"]
    before = (after(HOUR) - settlement.charged_from) / timedelta(hours=1)
    expected = before * 0.04 + (hours_of(world) - before) * 0.40 + hours_of(world) * BESIDE
    assert abs(float(settlement.usd) - expected) < 1e-4


def test_an_on_demand_machine_is_billed_by_its_one_price() -> None:
    world = World()
    world.prices.moved = [PriceStep(since=after(60), usd_per_hour=Decimal(4))]
    execution = to_training(world, spec=make_spec(purchase_option=PurchaseOption.ON_DEMAND))
    world.clock.move(2 * HOUR)
    world.observe_agent(world.says_ended())
    execution.advance()
    world.observe_machine(world.state_change(world.machine(1)))
    terminate(world)

    world.watch_costs()

    assert abs(float(world.run().settled_usd) - hours_of(world) * (0.10 + BESIDE)) < 1e-4
    assert world.prices.asked == 0


def test_a_machine_without_any_price_is_left_open_and_not_settled_for_nothing() -> None:
    world = World()
    world.prices.spot = None
    ended_after(world, 1)
    unknown = world.watch_costs()["settled"]
    world.prices.spot = Decimal("0.04")

    assert (unknown, world.watch_costs()["settled"]) == (0, 1)
