"""Observe a command: a start command that failed or was never delivered becomes a fact."""

from typing import Any

from runctl.controller.ports import RunStore, TaskTokens
from runctl.model.service_events import CommandEvent


def observe_command(event: CommandEvent, *, runs: RunStore, tokens: TaskTokens) -> dict[str, Any]:
    """Observe a command: a start command that failed or was never delivered becomes a fact."""
    raise NotImplementedError
