"""Stop a run: ask it to save and end, or end its machine when the time to save is over."""

from typing import Any

from runctl.controller.ports import Bucket, Clock, Commands, Machines, Notifications, RunStore, Schedules, TaskTokens
from runctl.model.stop import StopCommand


def stop_run(
    command: StopCommand,
    *,
    runs: RunStore,
    tokens: TaskTokens,
    machines: Machines,
    commands: Commands,
    bucket: Bucket,
    schedules: Schedules,
    notifications: Notifications,
    now: Clock,
) -> dict[str, Any]:
    """Stop a run: ask it to save and end, or end its machine when the time to save is over."""
    raise NotImplementedError
