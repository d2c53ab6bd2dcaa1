"""Start the training: choose what to resume from, write the hand-off, keep the token, send the command once."""

from typing import Any

from runctl.controller.ports import Bucket, Clock, Commands, Machines, RunStore, TaskTokens
from runctl.controller.settings import ControllerSettings
from runctl.model.decision import StepState
from runctl.model.ids import TaskToken


def start_training(
    state: StepState,
    task_token: TaskToken,
    *,
    runs: RunStore,
    tokens: TaskTokens,
    machines: Machines,
    commands: Commands,
    bucket: Bucket,
    settings: ControllerSettings,
    now: Clock,
) -> dict[str, Any]:
    """Start the training: choose what to resume from, write the hand-off, keep the token, send the command once."""
    raise NotImplementedError
