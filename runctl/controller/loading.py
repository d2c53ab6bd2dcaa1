"""Reading what a step or an observer works on."""

from runctl.controller.ports import RunStore
from runctl.errors import NotFoundError, RunEnded
from runctl.model.attempt import Attempt
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.run import Run


def load_run(runs: RunStore, run_id: RunId) -> Run:
    """Read a run that must be there. Raises NotFoundError."""
    run = runs.run(run_id)
    if run is None:
        raise NotFoundError(f"There is no run {run_id}.", hint="List the runs with runctl ps --all.")
    return run


def load_open_run(runs: RunStore, run_id: RunId) -> Run:
    """Read a run that a step may still work for. Raises NotFoundError, or RunEnded for one that has ended."""
    run = load_run(runs, run_id)
    if run.status.is_terminal:
        raise RunEnded(f"The run {run_id} has ended already: {run.status}.")
    return run


def load_attempt(runs: RunStore, run_id: RunId, number: AttemptNumber) -> Attempt:
    """Read an attempt that must be there. Raises NotFoundError."""
    attempt = runs.attempt(run_id, number)
    if attempt is None:
        raise NotFoundError(f"There is no attempt {number} of run {run_id}.")
    return attempt
