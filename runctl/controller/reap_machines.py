"""Look for machines that no run owns, and conclude runs that nothing else will conclude."""

from datetime import datetime, timedelta
from typing import Any, Final

from runctl.controller.conclusion import Concluding, conclude
from runctl.controller.ports import (
    Bucket,
    Clock,
    Executions,
    Machines,
    Metrics,
    Notifications,
    RunStore,
    Schedules,
)
from runctl.model import timing
from runctl.model.ids import RunId
from runctl.model.machine import MachineView
from runctl.model.names import Metric, Tag
from runctl.model.run import Run
from runctl.model.service_events import ExecutionStatus

_LIVING: Final = (ExecutionStatus.RUNNING, ExecutionStatus.PENDING_REDRIVE)


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
    """List machines with our tag that no open run owns, and end runs whose execution has ended without them."""
    at = now()
    stray = [view.instance_id for view in machines.tagged_machines() if _is_stray(view, runs, at)]
    ports = Concluding(runs, machines, bucket, schedules, notifications, now)
    stranded = [run.run_id for run in runs.open_runs() if _is_stranded(run, runs, executions, at)]
    for run_id in stranded:
        conclude(run_id, ports)
    metrics.put(Metric.STRAY_MACHINES, len(stray))
    metrics.put(Metric.STRANDED_RUNS, len(stranded))
    return {"stray_machines": stray, "stranded_runs": stranded}


def _is_stray(view: MachineView, runs: RunStore, at: datetime) -> bool:
    """Whether no open run owns the machine, and it is older than the grace; a protected one is left alone."""
    if Tag.PROTECTED in view.tags or view.state.is_final:
        return False
    if view.launched_at is None or at - view.launched_at < timing.REAPER_GRACE:
        return False
    run = runs.run(RunId(view.tags.get(Tag.RUN, "")))
    if run is None or run.status.is_terminal or run.attempt == 0:
        return True
    owner = next((a for a in runs.attempts(run.run_id) if a.instance_id == view.instance_id), None)
    return owner is None or (owner.number != run.attempt and not owner.is_draining)


def _is_stranded(run: Run, runs: RunStore, executions: Executions, at: datetime) -> bool:
    """Whether nothing will conclude the run any more: its execution has ended, or never began, and no machine of its
    own can report an end. One whose time to save is long over counts too."""
    status = executions.status(run.run_id)
    if status in _LIVING:
        return False
    if status is None and at - run.created_at < timing.REAPER_GRACE:
        return False
    if run.stop_request is not None:
        limit = run.stop_request.requested_at + timedelta(seconds=run.spec.save_limit_s) + timing.REAPER_GRACE
        if at > limit:
            return True
    return not any(attempt.owns_live_machine for attempt in runs.attempts(run.run_id))
