"""The regular look: machines that no run owns are ended, and runs that nothing else will set right are."""

from typing import Any

from runctl.controller.conclusion import Concluding
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
    TaskTokens,
)
from runctl.controller.reconcile import Reconciling, reconcile
from runctl.controller.settings import ControllerSettings
from runctl.controller.strays import end_strays
from runctl.errors import RunctlError, StaleWriteError
from runctl.model.names import Metric
from runctl.model.sweep import Deed, Sweep, SweepRequest

_SHOWN = 20
"""How many deeds a notification names; the sweep in the table and the log line hold them all."""


def reap_machines(
    request: SweepRequest,
    *,
    runs: RunStore,
    machines: Machines,
    commands: Commands,
    executions: Executions,
    tokens: TaskTokens,
    bucket: Bucket,
    schedules: Schedules,
    notifications: Notifications,
    metrics: Metrics,
    settings: ControllerSettings,
    now: Clock,
) -> dict[str, Any]:
    """End machines with our tags that no run owns at two looks, and do for open runs what lost events would have.

    What cannot be done for one machine or run does not keep the others from it: it is raised at last. A dry run writes
    nothing and tells what it would do.
    """
    at = now()
    last = runs.last_sweep()
    strays = end_strays(
        {} if last is None else last.strikes,
        runs=runs,
        machines=machines,
        stack_name=settings.stack_name,
        dry_run=request.dry_run,
        at=at,
        confirmed=request.confirmed,
    )
    needs = Reconciling(Concluding(runs, machines, bucket, schedules, notifications, now), executions, commands, tokens)
    count, deeds, faults = 0, list[Deed](), list(strays.faults)
    for run in runs.open_runs():
        count += 1
        try:
            deed = reconcile(run, needs, at, dry_run=request.dry_run)
        except RunctlError as fault:
            faults.append(fault)
        else:
            deeds += [] if deed is None else [deed]
    sweep = Sweep(
        at=at,
        dry_run=request.dry_run,
        machines=strays.seen,
        runs=count,
        strikes=strays.strikes,
        deeds=(*strays.deeds, *deeds),
        upcoming=tuple(strays.upcoming),
        faults=tuple(fault.message for fault in faults),
        version=0 if last is None else last.version,
    )
    if not request.dry_run:
        counts = {Metric.STRAY_MACHINES: len(strays.deeds), Metric.STRANDED_RUNS: len(deeds)}
        metrics.put({metric: count for metric, count in counts.items() if count})
        _keep(sweep, runs)
        _tell(sweep, notifications)
        if faults:
            raise faults[0]
    return sweep.model_dump(mode="json", exclude={"version"})


def _keep(sweep: Sweep, runs: RunStore) -> None:
    """Keep what was seen. Another look at the same time has kept its own: machines have been looked at either way."""
    try:
        runs.save_sweep(sweep)
    except StaleWriteError:
        return


def _tell(sweep: Sweep, notifications: Notifications) -> None:
    """Tell people, for none of this should ever be needed."""
    if not sweep.deeds:
        return
    told = [deed.text for deed in sweep.deeds[:_SHOWN]]
    if len(sweep.deeds) > _SHOWN:
        told.append(f"And {len(sweep.deeds) - _SHOWN} more: see the log of reap_machines.")
    notifications.send(f"runctl: the reaper acted on {len(sweep.deeds)}", "\n".join(told))
