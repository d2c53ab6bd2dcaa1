"""Wait until the machine is reachable: keep the token, look, and answer at once when the answer is known."""

from typing import Any

from runctl.controller.ports import Clock, Commands, Machines, RunStore, TaskTokens
from runctl.model.decision import StepState
from runctl.model.ids import TaskToken


def await_ready(
    state: StepState,
    task_token: TaskToken,
    *,
    runs: RunStore,
    tokens: TaskTokens,
    machines: Machines,
    commands: Commands,
    now: Clock,
) -> dict[str, Any]:
    """Wait until the machine is reachable: keep the token, look, and answer at once when the answer is known."""
    raise NotImplementedError
