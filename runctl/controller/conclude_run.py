"""Conclude a run once: end its machines, write its terminal status, tell people, clean up."""

from typing import Any

from runctl.controller.conclusion import Concluding, Verdict, conclude
from runctl.controller.ports import Bucket, Clock, Machines, Notifications, RunStore, Schedules
from runctl.model.decision import Action, StepState
from runctl.model.status import Reason


def conclude_run(
    state: StepState,
    *,
    runs: RunStore,
    machines: Machines,
    bucket: Bucket,
    schedules: Schedules,
    notifications: Notifications,
    now: Clock,
) -> dict[str, Any]:
    """Conclude the state machine's run; a repeated invocation answers the same."""
    ports = Concluding(runs, machines, bucket, schedules, notifications, now)
    conclusion = conclude(state.run_id, ports, _verdict(state), failure=state.error)
    return conclusion.model_dump(mode="json")


def _verdict(state: StepState) -> Verdict | None:
    """A success stands above an older decision that is still in the state's data."""
    if state.training is not None:
        return Verdict(Reason.COMPLETED, "The training ended with exit code 0.")
    if state.decision is not None and state.decision.action is Action.CONCLUDE:
        return Verdict(state.decision.reason, state.decision.text)
    return None
