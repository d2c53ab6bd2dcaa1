"""Taking over a run whose execution ended without concluding it: it saves, and whoever sees its end concludes it."""

from datetime import datetime
from types import MappingProxyType
from typing import Final

from runctl.controller.conclusion import Concluding, conclude
from runctl.controller.loading import load_run
from runctl.controller.ports import Commands, RunStore
from runctl.controller.stale import until_written
from runctl.controller.stopping import ask_to_leave
from runctl.controller.timeline import event_of_run
from runctl.model.ids import RunId
from runctl.model.run import Run, StopRequest
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason
from runctl.model.timeline import TimelineEvent, TimelineKind

REASON_OF_STATUS: Final = MappingProxyType(
    {
        ExecutionStatus.ABORTED: Reason.CANCELLED,
        ExecutionStatus.TIMED_OUT: Reason.TIMEOUT,
        ExecutionStatus.FAILED: Reason.CONTROLLER,
    }
)
"""Why a run ends whose execution ended before it: somebody stopped it, it was too long, or the controller broke."""


def take_over(
    run_id: RunId, status: ExecutionStatus, at: datetime, *, said: str = "", ports: Concluding, commands: Commands
) -> str:
    """Save and conclude a run of which the execution ended as `status` at `at`; `said` is what Step Functions told.

    Answers a word for the log: `nothing` for a run that has ended, `stopping` while it saves, `concluded`.
    """
    reason = REASON_OF_STATUS.get(status)
    run = ports.runs.run(run_id)
    if reason is None or run is None or run.status.is_terminal:
        return "nothing"
    request = StopRequest(reason=reason, requested_by=f"the execution's end ({status})", requested_at=at)
    text = f"The execution ended as {status}" + (f" ({said})." if said else ".")
    event = event_of_run(run_id, TimelineKind.EXECUTION_STOPPED, at, text)
    if ports.runs.request_stop(run_id, request, event) is None:
        return "nothing"
    run = until_written(lambda: _mark(ports.runs, run_id, event))
    training = [each for each in ports.runs.attempts(run_id) if each.command_id is not None and not each.is_settled]
    if training:
        ask_to_leave(run, training, ports, commands=commands, at=ports.now())
    if any(each.command_id is not None and not each.is_settled for each in ports.runs.attempts(run_id)):
        return "stopping"
    conclude(run_id, ports)
    return "concluded"


def _mark(runs: RunStore, run_id: RunId, event: TimelineEvent) -> Run:
    """Write that no state of the execution will conclude the run, so that whoever sees its end does. The event comes
    along: a stop that was requested before has kept it from being written with the request."""
    run = load_run(runs, run_id)
    if run.execution_ended or run.status.is_terminal:
        return run
    return runs.save_run(run.model_copy(update={"execution_ended": True, "updated_at": event.at}), [event])
