"""Admit a run: check that it may begin, and create its first attempt."""

import secrets
from typing import Any, Final

from runctl.controller.loading import load_open_run
from runctl.controller.ports import Clock, RunStore
from runctl.controller.timeline import event_of_attempt
from runctl.errors import StopRequested
from runctl.model.attempt import Attempt
from runctl.model.decision import StepState
from runctl.model.status import RunStatus
from runctl.model.timeline import TimelineKind
from runctl.policy.sentences import stop_requested

SECRET_BYTES: Final = 32


def admit_run(state: StepState, *, runs: RunStore, now: Clock) -> dict[str, Any]:
    """Admit a run; a repeated invocation changes nothing.

    Raises RunEnded for a run that has ended (a redrive), StopRequested for one that was cancelled before it began.
    """
    run = load_open_run(runs, state.run_id)
    if run.stop_request is not None:
        raise StopRequested(stop_requested(run.stop_request))
    if run.attempt == 0:
        at = now()
        attempt = Attempt(
            run_id=run.run_id,
            number=state.attempt,
            created_at=at,
            secret=secrets.token_hex(SECRET_BYTES),
            instance_id=run.machine,
        )
        admitted = run.model_copy(
            update={
                "status": RunStatus.PROVISIONING,
                "attempt": attempt.number,
                "message": "The run was admitted; a machine is being launched.",
                "updated_at": at,
            }
        )
        text = "The run was admitted." if run.machine is None else f"The run was admitted for machine {run.machine}."
        run = runs.begin_attempt(admitted, attempt, [event_of_attempt(attempt, TimelineKind.ADMITTED, at, text)])
    return {"run_id": run.run_id, "status": run.status.value, "attempt": run.attempt}
