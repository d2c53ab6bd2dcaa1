"""Observe the agent: its events become facts, figures and checkpoints, once they are verified."""

from typing import Any

from runctl.controller.ports import (
    Bucket,
    Clock,
    Commands,
    Machines,
    Metrics,
    Notifications,
    RunStore,
    Schedules,
    TaskTokens,
)
from runctl.model.service_events import BusEvent


def observe_agent(
    event: BusEvent,
    *,
    runs: RunStore,
    tokens: TaskTokens,
    machines: Machines,
    commands: Commands,
    bucket: Bucket,
    schedules: Schedules,
    notifications: Notifications,
    metrics: Metrics,
    now: Clock,
) -> dict[str, Any]:
    """Observe the agent: its events become facts, figures and checkpoints, once they are verified."""
    raise NotImplementedError
