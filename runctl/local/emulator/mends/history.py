"""History events: the number of the event before, one writer at a time, and the end at 25,000 events."""

from __future__ import annotations

import threading
from typing import Any, Final

from runctl.local.emulator.seam import module, replace

MAX_EVENTS: Final = 25_000
"""An execution fails with its 25,000th event (Step Functions Developer Guide, Service quotas)."""

_ENDINGS: Final = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"}
_lock = threading.Lock()


def apply() -> None:
    """Replace the writer of history events."""
    states = module("services.stepfunctions")

    def add_event(execution: dict[str, Any], event_type: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
        """Append an event. Raises States.Runtime when only the last place is left and this is no ending."""
        with _lock:
            events: list[dict[str, Any]] = execution["events"]
            number = len(events) + 1
            if number >= MAX_EVENTS and event_type not in _ENDINGS:
                raise states._ExecutionError(
                    "States.Runtime", f"The execution reached the maximum number of history events ({MAX_EVENTS})."
                )
            # The first state's entry follows no event, nor does an end that came from outside.
            detached = number <= 2 or event_type in {"ExecutionAborted", "ExecutionTimedOut"}
            event: dict[str, Any] = {
                "id": number,
                "previousEventId": 0 if detached else number - 1,
                "type": event_type,
                "timestamp": states.now_iso(),
                **(details or {}),
            }
            events.append(event)
        return event

    replace(states, "_add_event", "execution, event_type, details", add_event)
