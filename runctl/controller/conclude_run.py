"""Conclude a run once: end its machines, write its terminal status, tell people, clean up."""

from typing import Any

from runctl.controller.ports import Bucket, Clock, Machines, Notifications, RunStore, Schedules
from runctl.model.decision import StepState


def conclude_run(
    state: StepState,
    *,
    runs: RunStore,
    machines: Machines,
    bucket: Bucket,
    schedules: Schedules,
    notifications: Notifications,
    now: Clock,
) -> dict[str, Any]:
    """Conclude a run once: end its machines, write its terminal status, tell people, clean up."""
    raise NotImplementedError
