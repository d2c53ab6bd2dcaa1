"""The walk of an execution through its states, which the machine's own TimeoutSeconds and StopExecution can end."""

from __future__ import annotations

import contextvars
import json
import logging
import time
from functools import partial
from typing import Any, Final

from runctl.local.emulator.mends import running
from runctl.local.emulator.mends.endings import finish
from runctl.local.emulator.mends.running import ALARMS, CURRENT, ExecutionEnded
from runctl.local.emulator.seam import module, replace

MAX_PAYLOAD_BYTES: Final = 256 * 1024
"""Largest input or output of a state (Step Functions Developer Guide, Service quotas)."""

_log = logging.getLogger(__name__)


def apply() -> None:
    """Replace the engine's outermost loop, its sleep, and how it fails an execution."""
    states = module("services.stepfunctions")
    real_sleep = time.sleep

    def run_execution(exec_arn: str) -> None:
        """Take an execution from its first state to its end, in the thread made for it."""
        execution = states._executions.get(exec_arn)
        if execution is None:
            return
        # The first event is written by the start, and lacks this field there.
        execution["events"][0].setdefault("previousEventId", 0)
        machine = states._state_machines.get(execution["stateMachineArn"])
        CURRENT.set(running.begin(exec_arn, "" if machine is None else machine["roleArn"]))
        try:
            output = _walk(states, execution)
        except ExecutionEnded:
            return
        except states._ExecutionError as error:
            finish(execution, "FAILED", error=error.error, cause=error.cause)
        except Exception as error:  # noqa: BLE001
            # The boundary of the execution's thread: whatever breaks in the engine ends this execution, loudly,
            # rather than leaving it RUNNING for ever with nobody behind it.
            _log.exception("The engine broke in %s", exec_arn)
            finish(execution, "FAILED", error="States.Runtime", cause=repr(error))
        else:
            finish(execution, "SUCCEEDED", output=json.dumps(output))

    def sleep(seconds: float) -> None:
        """Sleep in a Wait state or before a retry, unless the execution ends first."""
        current = CURRENT.get(None)
        if current is None:
            real_sleep(seconds)
        else:
            current.sleep(seconds)

    def fail_execution(execution: dict[str, Any], error: str, cause: str) -> None:
        """End an execution as FAILED, unless it has ended."""
        finish(execution, "FAILED", error=error, cause=cause)

    replace(states, "_run_execution", "exec_arn", run_execution)
    replace(states, "_scaled_sleep", "seconds", sleep)
    replace(states, "_fail_execution", "execution, error, cause", fail_execution)


def _walk(states: Any, execution: dict[str, Any]) -> Any:
    """Run the states one after another and return the last output. Raises what ends an execution."""
    machine = states._state_machines.get(execution["stateMachineArn"])
    if machine is None:
        raise states._ExecutionError("States.Runtime", "The state machine was deleted.")
    definition = json.loads(machine["definition"])
    if "TimeoutSeconds" in definition:
        _set_alarm(execution, definition["TimeoutSeconds"])

    data = json.loads(execution["input"])
    context: dict[str, Any] = {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": {
            "Id": execution["executionArn"],
            "Input": data,
            "Name": execution["name"],
            "RoleArn": machine["roleArn"],
            "StartTime": execution["startDate"],
            "RedriveCount": 0,
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": machine["name"]},
        "variables": {},
    }
    name: str | None = definition["StartAt"]
    while name is not None:
        if execution["status"] != "RUNNING":
            raise ExecutionEnded
        state = definition["States"].get(name)
        if state is None:
            raise states._ExecutionError("States.Runtime", f"There is no state {name!r} in the definition.")
        data, name = _run_state(states, name, state, data, execution, context)
    return data


def _run_state(
    states: Any, name: str, state: dict[str, Any], data: Any, execution: dict[str, Any], context: dict[str, Any]
) -> tuple[Any, str | None]:
    """Run one state; return its output and the next state's name, or None after the last."""
    kind: str = state["Type"]
    context["State"] = {"Name": name, "EnteredTime": states.now_iso(), "RetryCount": 0}
    entered = {"name": name, "input": json.dumps(data), "inputDetails": {"truncated": False}}
    states._add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": entered})
    following: str | None
    match kind:
        case "Fail":
            raise states._ExecutionError(*states._fail_state_error(state, data, context))
        case "Succeed":
            data = states._apply_output_path(state, states._apply_input_path(state, data, context), context)
            following = None
        case "Task" | "Parallel" | "Map":
            data, following = getattr(states, f"_execute_{kind.lower()}")(state, data, execution, context)
        case "Pass" | "Choice" | "Wait":
            data, following = getattr(states, f"_execute_{kind.lower()}")(state, data, context)
        case _:
            raise states._ExecutionError("States.Runtime", f"There is no state type {kind!r}.")
    output = json.dumps(data)
    if len(output.encode()) > MAX_PAYLOAD_BYTES:
        raise states._ExecutionError(
            "States.DataLimitExceeded",
            f"The state '{name}' returned a result with a size exceeding the maximum number of bytes service limit.",
        )
    exited = {"name": name, "output": output, "outputDetails": {"truncated": False}}
    states._add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": exited})
    return data, following


def _set_alarm(execution: dict[str, Any], timeout_s: float) -> None:
    """End the execution as TIMED_OUT when the machine's TimeoutSeconds have passed, whatever it waits for."""
    time_out = partial(finish, execution, "TIMED_OUT", error="States.Timeout")
    # The alarm's thread stands outside any request: the event must carry this execution's account and region.
    context = contextvars.copy_context()
    ALARMS.at(time.monotonic() + timeout_s, lambda: context.run(time_out))
