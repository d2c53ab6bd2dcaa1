"""Observe a machine: warnings, rebalance recommendations and state changes of EC2 become facts."""

from typing import Any

from runctl.controller.ports import Bucket, Clock, Commands, Machines, Notifications, RunStore, Schedules, TaskTokens
from runctl.model.service_events import MachineEvent


def observe_machine(
    event: MachineEvent,
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
    """Observe a machine: warnings, rebalance recommendations and state changes of EC2 become facts."""
    raise NotImplementedError
