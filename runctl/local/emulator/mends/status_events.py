"""The event that tells of an execution's new status, in AWS's shape for every status.

Source: Step Functions Developer Guide, "Automating Step Functions event delivery with EventBridge" (cw-events): dates
are milliseconds since the epoch, `output` stands only on SUCCEEDED, and what failed, timed out or was aborted can be
redriven.
"""

from __future__ import annotations

import json
from typing import Any, Final

from runctl.local.emulator.events import publish
from runctl.local.emulator.seam import module, replace

_REDRIVABLE: Final = {"FAILED", "TIMED_OUT", "ABORTED"}
_PAYLOAD_LIMIT_BYTES: Final = 248 * 1024


def apply() -> None:
    """Replace the emitter of status events."""
    states = module("services.stepfunctions")

    def emit(execution: dict[str, Any]) -> None:
        """Publish the execution's present status, unless it was started as a synchronous one."""
        if execution.get("sync"):
            return
        publish(
            {
                "source": "aws.states",
                "detail-type": "Step Functions Execution Status Change",
                "resources": [execution["executionArn"]],
                "detail": _detail(execution, states),
            }
        )

    replace(states, "_emit_execution_status_event", "execution", emit)


def _detail(execution: dict[str, Any], states: Any) -> dict[str, Any]:
    status = execution["status"]
    redrivable = status in _REDRIVABLE
    output = execution.get("output") if status == "SUCCEEDED" else None
    shown_input = _within_limit(execution.get("input"))
    shown_output = _within_limit(output)
    return {
        "executionArn": execution["executionArn"],
        "stateMachineArn": execution["stateMachineArn"],
        "name": execution["name"],
        "status": status,
        "startDate": states._iso_to_epoch_ms(execution.get("startDate")),
        "stopDate": states._iso_to_epoch_ms(execution.get("stopDate")),
        "input": shown_input,
        "inputDetails": {"included": shown_input is not None},
        "output": shown_output,
        "outputDetails": {"included": shown_output is not None} if output is not None else None,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "REDRIVABLE" if redrivable else "NOT_REDRIVABLE",
        "redriveStatusReason": None if redrivable else f"Execution is {status} and cannot be redriven",
        "error": execution.get("error"),
        "cause": execution.get("cause"),
    }


def _within_limit(payload: str | None) -> str | None:
    """The payload, or None when its escaped form is too large for an event."""
    return payload if payload is None or len(json.dumps(payload)) <= _PAYLOAD_LIMIT_BYTES else None
