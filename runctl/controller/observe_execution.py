"""Observe the execution: one that was stopped from outside leaves its run to be saved and concluded here."""

from types import MappingProxyType
from typing import Any, Final

from runctl.controller.conclusion import Concluding, conclude
from runctl.controller.loading import load_run
from runctl.controller.ports import Bucket, Clock, Commands, Machines, Notifications, RunStore, Schedules
from runctl.controller.reaction import is_settled
from runctl.controller.stale import until_written
from runctl.controller.stopping import save_and_leave
from runctl.controller.timeline import event_of_run
from runctl.model.ids import RunId
from runctl.model.run import Run, StopRequest
from runctl.model.service_events import ExecutionEvent, ExecutionStatus
from runctl.model.status import Reason
from runctl.model.timeline import TimelineKind
from runctl.policy.sentences import shorten

REASON_OF_STATUS: Final = MappingProxyType(
    {
        ExecutionStatus.ABORTED: Reason.CANCELLED,
        ExecutionStatus.TIMED_OUT: Reason.TIMEOUT,
        ExecutionStatus.FAILED: Reason.CONTROLLER,
    }
)
"""Why a run ends whose execution ended before it: somebody stopped it, it was too long, or the controller broke."""


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
    run_id = event.detail.name
    answer = {"run_id": run_id, "status": event.detail.status.value}
    reason = REASON_OF_STATUS.get(event.detail.status)
    run = runs.run(run_id)
    if reason is None or run is None or run.status.is_terminal:
        return {**answer, "outcome": "nothing"}
    request = StopRequest(
        reason=reason, requested_by=f"the execution's end ({event.detail.status})", requested_at=event.time
    )
    said = ": ".join(part for part in (event.detail.error, shorten(event.detail.cause or "", 200)) if part)
    text = f"The execution ended as {event.detail.status}" + (f" ({said})." if said else ".")
    event_of_end = event_of_run(run_id, TimelineKind.EXECUTION_STOPPED, event.time, text)
    if runs.request_stop(run_id, request, event_of_end) is None:
        return {**answer, "outcome": "nothing"}
    run = until_written(lambda: _mark(runs, run_id, event))
    attempt = runs.attempt(run_id, run.attempt) if run.attempt else None
    if attempt is not None and attempt.command_id is not None and not is_settled(attempt):
        save_and_leave(run, attempt, runs=runs, machines=machines, commands=commands, schedules=schedules, at=now())
        attempt = runs.attempt(run_id, run.attempt)
        if attempt is not None and not is_settled(attempt):
            return {**answer, "outcome": "stopping"}
    conclude(run_id, Concluding(runs, machines, bucket, schedules, notifications, now))
    return {**answer, "outcome": "concluded"}


def _mark(runs: RunStore, run_id: RunId, event: ExecutionEvent) -> Run:
    """Write that no state of the execution will conclude the run, so that whoever sees its end does."""
    run = load_run(runs, run_id)
    if run.execution_ended or run.status.is_terminal:
        return run
    return runs.save_run(run.model_copy(update={"execution_ended": True, "updated_at": event.time}))
