"""Look for machines that no run owns, and conclude runs that nothing else will conclude."""

from datetime import datetime, timedelta
from typing import Any, Final

from runctl.controller.conclusion import Concluding, conclude
from runctl.controller.ports import (
    Bucket,
    Clock,
    Commands,
    Executions,
    Machines,
    Metrics,
    Notifications,
    RunStore,
    Schedules,
)
from runctl.controller.taking_over import REASON_OF_STATUS, take_over
from runctl.errors import RunctlError
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
    commands: Commands,
    executions: Executions,
    bucket: Bucket,
    schedules: Schedules,
    notifications: Notifications,
    metrics: Metrics,
    now: Clock,
) -> dict[str, Any]:
    """List machines with our tag that no open run owns, and end runs whose execution has ended without them.

    A run that cannot be concluded does not keep the others from it: what it raised is raised at last.
    """
    at = now()
    stray = [view.instance_id for view in machines.tagged_machines() if _is_stray(view, runs, at)]
    ports = Concluding(runs, machines, bucket, schedules, notifications, now)
    stranded: list[RunId] = []
    faults: list[RunctlError] = []
    for run in runs.open_runs():
        try:
            if _reconcile(run, executions, commands, ports, at):
                stranded.append(run.run_id)
        except RunctlError as fault:
            faults.append(fault)
    metrics.put(Metric.STRAY_MACHINES, len(stray))
    metrics.put(Metric.STRANDED_RUNS, len(stranded))
    if faults:
        raise faults[0]
    return {"stray_machines": stray, "stranded_runs": stranded}


def _reconcile(run: Run, executions: Executions, commands: Commands, ports: Concluding, at: datetime) -> bool:
    """Do for a run what events would have led to; tells whether nothing else was working on it any more.

    The event of an execution's end may be lost: its delivery type is "best effort" (Amazon EventBridge Events
    Reference, "AWS Step Functions events").
    """
    status = executions.status(run.run_id)
    if status is not None and status in REASON_OF_STATUS and not run.execution_ended:
        return take_over(run.run_id, status, at, ports=ports, commands=commands) != "nothing"
    if not _is_stranded(run, status, ports.runs, at):
        return False
    conclude(run.run_id, ports)
    return True


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


def _is_stranded(run: Run, status: ExecutionStatus | None, runs: RunStore, at: datetime) -> bool:
    """Whether nothing will conclude the run any more: its execution has ended, or never began, and no machine of its
    own can report an end. One whose time to save is long over counts too."""
    if status in _LIVING:
        return False
    if status is None and at - run.created_at < timing.REAPER_GRACE:
        return False
    if run.stop_request is not None:
        limit = run.stop_request.requested_at + timedelta(seconds=run.spec.save_limit_s) + timing.REAPER_GRACE
        if at > limit:
            return True
    return not any(attempt.owns_live_machine for attempt in runs.attempts(run.run_id))
