"""Observe the execution: one that was stopped from outside leaves its run to be saved and concluded here."""

from typing import Any

from runctl.controller.ports import Bucket, Clock, Commands, Machines, Notifications, RunStore, Schedules
from runctl.model.service_events import ExecutionEvent


def observe_execution(
    event: ExecutionEvent,
    *,
    runs: RunStore,
    machines: Machines,
    commands: Commands,
    bucket: Bucket,
    schedules: Schedules,
    notifications: Notifications,
    now: Clock,
) -> dict[str, Any]:
    """Observe the execution: one that was stopped from outside leaves its run to be saved and concluded here."""
    raise NotImplementedError
