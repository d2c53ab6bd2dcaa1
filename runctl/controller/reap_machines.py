"""Look for machines that no run owns, and conclude runs that nothing else will conclude."""

from typing import Any

from runctl.controller.ports import Bucket, Clock, Executions, Machines, Metrics, Notifications, RunStore, Schedules


def reap_machines(
    *,
    runs: RunStore,
    machines: Machines,
    executions: Executions,
    bucket: Bucket,
    schedules: Schedules,
    notifications: Notifications,
    metrics: Metrics,
    now: Clock,
) -> dict[str, Any]:
    """Look for machines that no run owns, and conclude runs that nothing else will conclude."""
    raise NotImplementedError
