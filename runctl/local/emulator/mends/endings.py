"""How an execution ends: once, whoever comes first."""

from __future__ import annotations

import threading
from typing import Any, Final

from runctl.local.emulator.mends import running
from runctl.local.emulator.seam import module

_EVENTS: Final = {
    "SUCCEEDED": ("ExecutionSucceeded", "executionSucceededEventDetails"),
    "FAILED": ("ExecutionFailed", "executionFailedEventDetails"),
    "TIMED_OUT": ("ExecutionTimedOut", "executionTimedOutEventDetails"),
    "ABORTED": ("ExecutionAborted", "executionAbortedEventDetails"),
}
_lock = threading.Lock()


def finish(
    execution: dict[str, Any],
    status: str,
    *,
    output: str | None = None,
    error: str | None = None,
    cause: str | None = None,
) -> bool:
    """End the execution with `status`, write the history, tell the bus and unwind its thread.

    Answers False, and changes nothing, when the execution has already ended.
    """
    states = module("services.stepfunctions")
    event, details_name = _EVENTS[status]
    told = {"output": output, "error": error, "cause": cause}
    details = {name: value for name, value in told.items() if value is not None}
    with _lock:
        if execution["status"] != "RUNNING":
            return False
        execution["stopDate"] = states.now_iso()
        execution["output"] = output
        # A timed-out execution has neither error nor cause in DescribeExecution; they stand in its history only.
        if status != "TIMED_OUT":
            execution["error"] = error
            execution["cause"] = cause
        states._add_event(execution, event, {details_name: details})
        execution["status"] = status
    states._emit_execution_status_event(execution)
    running.end(execution["executionArn"])
    return True
