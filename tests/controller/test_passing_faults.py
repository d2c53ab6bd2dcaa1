"""AWS throttles or is out of reach for longer than a step is tried again: the run waits, and its attempt goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

from runctl.errors import AwsUnavailable, RunctlError, Throttled
from runctl.model.names import State
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason
from tests.controller.stages import boot, finish, get_ready, start, train
from tests.factories import make_spec
from tests.fakes.state_machine import RETRIES
from tests.fakes.world import World


@contextmanager
def out_of_order(port: Any, method: str, error: RunctlError) -> Iterator[None]:
    """Let a method of a port fail for as long as this lasts."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    setattr(port, method, fail)
    yield
    delattr(port, method)


@pytest.mark.parametrize("error", [Throttled("EC2: RequestLimitExceeded."), AwsUnavailable("EC2 does not answer.")])
def test_a_launch_that_aws_does_not_take_is_made_again_by_the_same_attempt(error: RunctlError) -> None:
    world = World()
    execution = start(world)

    with out_of_order(world.machines, "create_fleet", error):
        assert execution.advance() is State.WAIT_FOR_CAPACITY
    waiting = world.run()
    world.clock.move(15)
    assert execution.advance() is State.WAIT_FOR_SSM
    finish(world, execution)

    assert waiting.capacity_wait is not None
    assert "The next try is in 15 s" in waiting.message
    assert [attempt.reason for attempt in world.runs.attempts(waiting.run_id)] == [Reason.COMPLETED]


def test_a_training_that_could_not_be_started_for_a_while_is_started_on_the_same_machine() -> None:
    world = World()
    execution = start(world)
    execution.advance()
    boot(world)
    world.observe_agent(world.says_ready())

    with out_of_order(world.commands, "send", Throttled("SSM: ThrottlingException.")):
        assert execution.advance() is State.WAIT_FOR_CAPACITY
    world.clock.move(15)
    assert execution.advance() is State.TRAIN
    train(world)
    world.observe_agent(world.says_ended())
    execution.advance()

    assert execution.status is ExecutionStatus.SUCCEEDED
    assert len(world.machines.launched) == 1
    assert world.commands.verbs == ["start"]


def test_people_are_told_when_aws_has_not_answered_for_a_quarter_of_an_hour() -> None:
    world = World()
    execution = start(world)

    with out_of_order(world.machines, "create_fleet", Throttled("EC2: RequestLimitExceeded.")):
        for _ in range(8):
            execution.advance()
            world.clock.move(200)
    told = [subject for subject, _ in world.notifications.sent]

    assert told == ["runctl: digits waits for a machine"]


def test_a_run_that_aws_never_serves_ends_at_the_deadline_for_capacity() -> None:
    world = World()
    execution = start(world, spec=make_spec(capacity_timeout_s=600))

    with out_of_order(world.machines, "create_fleet", Throttled("EC2: RequestLimitExceeded.")):
        for _ in range(40):
            execution.advance()
            world.clock.move(60)

    assert world.run().reason is Reason.CAPACITY
    assert "RequestLimitExceeded" in world.run().message
    assert RETRIES < 40


def test_people_are_told_when_a_run_goes_on_on_demand() -> None:
    world = World()
    world.machines.refusals["t3.micro"] = "InsufficientInstanceCapacity"
    execution = start(world, spec=make_spec(fallback=True))

    while world.run().fell_back_at is None:
        execution.advance()
        world.clock.move(30)
    world.machines.refusals.clear()
    world.clock.move(600)
    assert execution.advance() is State.WAIT_FOR_SSM

    assert [subject for subject, _ in world.notifications.sent] == ["runctl: digits goes on on demand"]
    assert world.attempt().purchase_option == "on-demand"
    get_ready(world, execution)
