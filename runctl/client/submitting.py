"""Writing a run and starting its execution, so that no run is left that only seems to be about to begin."""

from collections.abc import Callable
from datetime import datetime

from runctl.client.deployment import Deployment
from runctl.errors import RunctlError, StaleWriteError
from runctl.model.decision import ExecutionInput
from runctl.model.run import Run
from runctl.model.status import RunStatus
from runctl.model.timeline import TimelineEvent, TimelineKind


def submit(run: Run, deployment: Deployment, now: Callable[[], datetime]) -> None:
    """Write the run and start its execution. When the start is refused the run is ended as FAILED, and that is raised.

    When this process dies in between, an open run without an execution is left, which the reaper concludes.
    """
    deployment.runs.create_run(run, [_submitted(run)])
    try:
        deployment.executions.start(run.run_id, ExecutionInput.of(run))
    except RunctlError as error:
        if _end_unstarted(run, error, deployment, now()):
            raise


def _end_unstarted(run: Run, error: RunctlError, deployment: Deployment, now: datetime) -> bool:
    """Leave no run that seems to be about to begin; says whether it was ended.

    AWS may have started it and only the answer was lost: a run that was admitted already goes on, and one that was
    not is not admitted any more.
    """
    ended = run.model_copy(
        update={
            "status": RunStatus.FAILED,
            "reason": error.reason,
            "message": f"The execution could not be started: {error.message}",
            "updated_at": now,
            "ended_at": now,
        }
    )
    concluded = TimelineEvent(
        run_id=run.run_id, event_id="concluded", at=now, kind=TimelineKind.CONCLUDED, text=ended.message
    )
    try:
        deployment.runs.save_run(ended, [concluded])
    except StaleWriteError:
        return False
    return True


def _submitted(run: Run) -> TimelineEvent:
    asked = "submitted" if run.resumed_from is None else f"resumed {run.resumed_from.run_id} with"
    return TimelineEvent(
        run_id=run.run_id,
        event_id="submitted",
        at=run.created_at,
        kind=TimelineKind.SUBMITTED,
        text=f"{run.user} {asked} {run.spec.label} on {' or '.join(run.spec.instance_types)}, "
        f"{run.spec.purchase_option.value}.",
        data={"code": run.spec.code.sha256},
    )
