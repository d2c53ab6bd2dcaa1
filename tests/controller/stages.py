"""A run brought to a stage, as a test needs it."""

from typing import Any

from runctl.model.agent_event import AgentEventKind, EndedWhy
from runctl.model.names import State
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason
from tests.factories import RUN_ID
from tests.fakes.state_machine import Execution
from tests.fakes.world import World


def start(world: World, **fields: Any) -> Execution:
    """Submit a run; its execution has not begun."""
    world.submit(**fields)
    return Execution(world, RUN_ID)


def to_wait_for_ssm(world: World, **fields: Any) -> Execution:
    """Bring a run to `Wait for SSM`: its machine is pending."""
    execution = start(world, **fields)
    assert execution.advance() is State.WAIT_FOR_SSM
    return execution


def boot(world: World) -> None:
    """Let the current machine run and be reachable."""
    world.machines.boot(world.machine())
    world.commands.online.add(world.machine())


def to_preparing(world: World, **fields: Any) -> Execution:
    """Bring a run to `Train`: the start command was sent, nothing was heard yet."""
    execution = to_wait_for_ssm(world, **fields)
    get_ready(world, execution)
    return execution


def get_ready(world: World, execution: Execution) -> None:
    """Let the current machine announce itself."""
    world.clock.move(20)
    boot(world)
    world.observe_agent(world.says_ready())
    world.clock.move(1)
    assert execution.advance() is State.TRAIN


def to_training(world: World, **fields: Any) -> Execution:
    """Bring a run to training."""
    execution = to_preparing(world, **fields)
    train(world)
    return execution


def train(world: World, **data: Any) -> None:
    """Let the current machine's training begin."""
    world.clock.move(5)
    world.observe_agent(world.says_started(**data))
    world.clock.move(60)


def wait_at_fence(world: World, number: int = 0) -> None:
    """Let an attempt's machine say that it is prepared and waits for the one before it."""
    world.clock.move(10)
    data = {"waiting_since": world.clock().isoformat()}
    world.observe_agent(world.says(AgentEventKind.WAITING_FOR_HAND_OVER, data, number=number))


def to_fence(world: World, **fields: Any) -> Execution:
    """Bring a run to where its first machine was warned and trains on, and the second one waits at its fence."""
    execution = to_training(world, **fields)
    world.observe_machine(world.warning(world.machine()))
    assert execution.advance() is State.WAIT_FOR_SSM
    get_ready(world, execution)
    wait_at_fence(world)
    assert execution.advance() is State.TRAIN
    return execution


def may_train(world: World, number: int = 0) -> bool:
    """Whether an attempt's machine was let train: there was no fence, or it was opened."""
    machine = world.machine(number)
    return not world.bucket.jobs[machine].must_fence or machine in world.bucket.gos


def take_back(world: World) -> None:
    """EC2 warns, and two minutes later the machine goes."""
    world.observe_machine(world.warning(world.machine()))
    world.clock.move(120)
    go(world)


def go(world: World, number: int = 0) -> None:
    """EC2 takes an attempt's machine."""
    world.machines.go(world.machine(number))
    world.observe_machine(world.state_change(world.machine(number)))


def finish(world: World, execution: Execution) -> None:
    """Bring the current attempt to success."""
    get_ready(world, execution)
    train(world)
    world.observe_agent(world.says_ended())
    execution.advance()
    assert execution.status is ExecutionStatus.SUCCEEDED


def reasons(world: World) -> list[Reason | None]:
    """Why each attempt ended."""
    return [attempt.reason for attempt in world.runs.attempts(RUN_ID)]


def to_second_attempt(world: World) -> Execution:
    """Bring a run to its second attempt's training; the first machine saved and is about to go."""
    execution = to_training(world)
    world.observe_machine(world.warning(world.machine()))
    world.observe_agent(world.says_ended(EndedWhy.NOTICE, 75))
    assert execution.advance() is State.WAIT_FOR_SSM
    get_ready(world, execution)
    train(world)
    return execution
