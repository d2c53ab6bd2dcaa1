"""Observe the execution: one that was stopped from outside leaves its run to be saved and concluded here."""

from typing import Any

from runctl.controller.conclusion import Concluding
from runctl.controller.ports import Bucket, Clock, Commands, Machines, Notifications, RunStore, Schedules
from runctl.controller.taking_over import take_over
from runctl.model.service_events import ExecutionEvent
from runctl.policy.sentences import shorten


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
    """Take over a run whose execution has ended without concluding it; an execution that concluded its run is left."""
    detail = event.detail
    said = ": ".join(part for part in (detail.error, shorten(detail.cause or "", 200)) if part)
    ports = Concluding(runs, machines, bucket, schedules, notifications, now)
    outcome = take_over(detail.name, detail.status, event.time, said=said, ports=ports, commands=commands)
    return {"run_id": detail.name, "status": detail.status.value, "outcome": outcome}
