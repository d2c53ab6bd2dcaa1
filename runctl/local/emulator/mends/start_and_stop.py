"""StartExecution, which is idempotent while the execution runs, and StopExecution, which ends it at once.

Source: Step Functions API Reference, StartExecution and StopExecution.
"""

from __future__ import annotations

import json
import re
import threading
from typing import Any, Final

from runctl.local.emulator.mends.endings import finish
from runctl.local.emulator.seam import module, replace

_NAME: Final = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")


def apply() -> None:
    """Replace the two calls."""
    states = module("services.stepfunctions")
    responses = module("core.responses")
    starting = threading.RLock()

    def start_execution(data: dict[str, Any]) -> Any:
        """StartExecution."""
        name, given = data.get("name"), data.get("input", "{}")
        if name is not None and not _NAME.fullmatch(name):
            return responses.error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
        try:
            json.loads(given)
        except ValueError as error:
            return responses.error_response_json(
                "InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'", 400
            )
        with starting:
            same = _same_running_execution(states, responses, data, given) if name else None
            if same is not None:
                return responses.json_response({"executionArn": same["executionArn"], "startDate": same["startDate"]})
            return original_start(data)

    def stop_execution(data: dict[str, Any]) -> Any:
        """StopExecution. Stopping an execution that has ended changes nothing and answers with its end."""
        execution = states._executions.get(data.get("executionArn"))
        if execution is None:
            return responses.error_response_json(
                "ExecutionDoesNotExist", f"Execution Does Not Exist: '{data.get('executionArn')}'", 400
            )
        finish(execution, "ABORTED", error=data.get("error"), cause=data.get("cause"))
        return responses.json_response({"stopDate": execution["stopDate"]})

    original_start = replace(states, "_start_execution", "data", start_execution)
    replace(states, "_stop_execution", "data", stop_execution)


def _same_running_execution(states: Any, responses: Any, data: dict[str, Any], given: str) -> dict[str, Any] | None:
    """The execution of that name and that input when it still runs."""
    machine_arn = states._resolve_state_machine_arn(data.get("stateMachineArn", ""))
    if machine_arn is None:
        return None
    machine_name = states._state_machines[machine_arn]["name"]
    arn = (
        f"arn:aws:states:{responses.get_region()}:{responses.get_account_id()}:execution:{machine_name}:{data['name']}"
    )
    execution = states._executions.get(arn)
    if execution is not None and execution["status"] == "RUNNING" and execution["input"] == given:
        return execution
    return None
