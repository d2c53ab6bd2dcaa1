"""Moving a run from one status to the next, unless it was asked to stop meanwhile."""

from datetime import datetime
from typing import Any

from runctl.controller.ports import RunStore
from runctl.model.run import Run
from runctl.model.status import RunStatus


def move(runs: RunStore, run: Run, status: RunStatus, message: str, at: datetime, **changes: Any) -> Run:
    """Write a run's next status and sentence. A run that was asked to stop stays STOPPING. Raises StaleWriteError."""
    if run.status.is_terminal:
        return run
    kept = RunStatus.STOPPING if run.stop_request is not None else status
    moved = run.model_copy(update={"status": kept, "message": message, "updated_at": at, **changes})
    return runs.save_run(moved)
