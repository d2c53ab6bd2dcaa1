"""Taking a deployment down: what counts as busy, and what is waited for."""

import pytest

from runctl.aws.change_sets import Stack
from runctl.client.destroying import Inventory
from runctl.model.ids import InstanceId
from runctl.model.machine import MachineState, MachineView
from tests.client.deployment import a_run

STACK = Stack(stack_id="arn:aws:cloudformation:us-east-1:1:stack/runctl/1", status="CREATE_COMPLETE")


def _inventory(*states: MachineState, runs: int = 0) -> Inventory:
    machines = tuple(
        MachineView(instance_id=InstanceId(f"i-{number}"), state=state) for number, state in enumerate(states)
    )
    return Inventory("123456789012", "us-east-1", STACK, tuple(a_run() for _ in range(runs)), machines)


def test_open_run_keeps_the_stack() -> None:
    assert _inventory(runs=1).is_busy


@pytest.mark.parametrize("state", [MachineState.PENDING, MachineState.RUNNING, MachineState.STOPPED])
def test_machine_that_nobody_has_ended_keeps_the_stack(state: MachineState) -> None:
    assert _inventory(MachineState.SHUTTING_DOWN, state).is_busy


def test_machine_that_is_going_does_not_keep_the_stack() -> None:
    assert not _inventory(MachineState.SHUTTING_DOWN).is_busy


def test_stack_that_never_came_to_be_has_no_bucket() -> None:
    assert _inventory().bucket is None
