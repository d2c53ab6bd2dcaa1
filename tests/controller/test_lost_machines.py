"""Machines that die, fall silent, or never go."""

import pytest

from runctl.model.machine import MachineState
from runctl.model.names import State
from runctl.model.status import Reason, RunStatus
from tests.controller.stages import (
    finish,
    get_ready,
    reasons,
    to_second_attempt,
    to_training,
    to_wait_for_ssm,
    train,
)
from tests.factories import make_spec
from tests.fakes.state_machine import Execution
from tests.fakes.world import World


def test_a_machine_killed_from_outside_is_lost_and_replaced() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.saves(100))

    world.machines.go(world.machine(), "Client.UserInitiatedShutdown", "User initiated")
    world.observe_machine(world.state_change(world.machine()))
    assert execution.advance() is State.WAIT_FOR_SSM
    finish(world, execution)

    assert reasons(world) == [Reason.MACHINE_LOST, Reason.COMPLETED]
    assert "Client.UserInitiatedShutdown" in world.attempt(1).evidence


def test_a_stopped_machine_is_gone_and_terminated() -> None:
    world = World()
    execution = to_training(world)
    first = world.machine()

    world.machines.go(first, "Client.UserInitiatedShutdown", state=MachineState.STOPPING)
    world.observe_machine(world.state_change(first, MachineState.STOPPING))
    execution.advance()
    finish(world, execution)

    assert reasons(world)[0] is Reason.MACHINE_LOST
    assert first in world.machines.terminated


@pytest.mark.parametrize("state", [MachineState.PENDING, MachineState.RUNNING])
def test_a_machine_that_comes_up_is_no_fact(state: MachineState) -> None:
    world = World()
    to_wait_for_ssm(world)

    world.observe_machine(world.state_change(world.machine(), state))

    assert world.attempt().facts == {}


def test_three_lost_machines_in_a_row_end_the_run() -> None:
    world = World()
    execution = to_training(world)
    for n in range(3):
        world.observe_agent(world.saves(100 * (n + 1)))
        world.machines.go(world.machine(), "Server.InternalError")
        world.observe_machine(world.state_change(world.machine()))
        if execution.advance() is State.WAIT_FOR_SSM:
            get_ready(world, execution)
            train(world)

    assert reasons(world) == [Reason.MACHINE_LOST] * 3
    assert (world.run().status, world.run().reason) == (RunStatus.FAILED, Reason.MACHINE_LOST)


def test_a_silent_machine_is_asked_for_ended_and_replaced_only_when_it_goes() -> None:
    world = World()
    execution = to_training(world)
    first = world.machine()
    world.machines.terminate_takes = True
    machines_at_each_try: list[int] = []

    def go_at_last(state: State) -> None:
        if state is State.DECIDE_WHAT_NEXT:
            machines_at_each_try.append(len(world.machines.launched))
            if len(machines_at_each_try) == 4:
                world.machines.finish_terminating()

    execution.before = go_at_last
    world.clock.move(901)
    assert execution.advance() is State.WAIT_FOR_SSM

    assert machines_at_each_try == [1, 1, 1, 1]
    assert world.attempt(1).reason is Reason.MACHINE_LOST
    assert "sent no heartbeat any more; EC2 says running, SSM says online" in world.attempt(1).evidence
    assert first in world.machines.terminated


def test_a_machine_that_ec2_never_lets_go_ends_the_run_by_a_fault_and_not_by_the_interruption() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    world.machines.terminate_takes = True
    world.observe_machine(world.warning(world.machine()))

    execution.advance()

    assert world.attempt(1).reason is Reason.SPOT_INTERRUPTION
    assert (world.run().status, world.run().reason) == (RunStatus.FAILED, Reason.CONTROLLER)
    assert "No other machine followed: EC2 does not yet say that" in world.run().message


def test_the_end_that_we_asked_for_ourselves_does_not_change_the_reason() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    world.machines.terminate_takes = True

    def go_at_last(state: State) -> None:
        if state is State.DECIDE_WHAT_NEXT and world.machines.terminated:
            world.machines.finish_terminating()

    execution.before = go_at_last
    world.clock.move(901)
    execution.advance()

    assert execution.data["decision"]["reason"] == "MACHINE_NOT_READY"
    assert world.attempt(1).reason is Reason.MACHINE_NOT_READY


def test_a_machine_that_ec2_has_forgotten_is_not_waited_for() -> None:
    world = World()
    execution = to_training(world)
    world.machines.forget_all()

    world.clock.move(901)

    assert execution.advance() is State.WAIT_FOR_SSM


def to_second_machine_without_the_event_of_the_firsts_end(world: World) -> Execution:
    """The first machine was warned, saved, and went; EC2's event of its end was lost."""
    execution = to_second_attempt(world)
    world.machines.go(world.machine(1), state=MachineState.TERMINATED)
    return execution


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_machine_that_went_unheard_long_ago_does_not_keep_its_run_from_ending(is_forgotten: bool) -> None:
    """EC2 takes the tags off a terminated machine, and may no longer be asked to end it: there is no right to."""
    world = World()
    execution = to_second_machine_without_the_event_of_the_firsts_end(world)
    first = world.machine(1)
    if is_forgotten:
        world.machines.forget(first)
    else:
        world.machines.lose_tags(first)
    world.clock.move(3_600)

    world.observe_agent(world.says_ended())
    execution.advance()

    assert world.run().status is RunStatus.SUCCEEDED
    assert first not in world.machines.terminated
    assert world.machines.alive == []


def test_a_machine_that_is_not_visible_yet_is_ended_when_it_is() -> None:
    world = World()
    execution = to_wait_for_ssm(world)
    hidden = world.machines.forget(world.machine())
    world.stop_run()

    def show(state: State) -> None:
        if state is State.CONCLUDE_RUN and execution.retries:
            world.machines.add(hidden)

    execution.before = show
    execution.advance()

    assert execution.retries == 1
    assert world.run().status is RunStatus.CANCELLED
    assert world.machines.alive == []


def test_the_time_limit_of_the_state_is_an_end_for_what_nothing_else_has_ended() -> None:
    world = World()
    execution = to_training(world, spec=make_spec(max_runtime_s=600))

    execution.timeout_error = "States.Timeout"
    world.clock.move(execution.data["train_timeout_s"] + 1)
    execution.advance()

    assert (world.run().status, world.run().reason) == (RunStatus.STOPPED, Reason.TIMEOUT)
    assert world.machines.alive == []
