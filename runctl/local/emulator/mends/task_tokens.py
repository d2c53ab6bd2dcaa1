"""Task tokens: what they are, who may still answer them, and the three calls that do.

Source: Step Functions API Reference, SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat. A token whose task is closed
is refused with TaskTimedOut, as AWS does ("Provided task does not exist anymore").
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from runctl.local.emulator.mends.running import Running
from runctl.local.emulator.seam import module, replace

_PREFIX: Final = b"runctl-local-task:"
_MAX_ERROR_LENGTH: Final = 256
_MAX_CAUSE_LENGTH: Final = 32_768


@dataclass(frozen=True)
class Succeeded:
    """A token was answered with success; `output` is JSON."""

    output: str


@dataclass(frozen=True)
class Failed:
    """A token was answered with failure, or the invocation that carried it failed."""

    error: str
    cause: str


@dataclass
class OpenTask:
    """A task that waits for its answer. Guarded by `running.changed`."""

    running: Running
    token: str
    answer: Succeeded | Failed | None = None
    heartbeat_at: float = field(default_factory=time.monotonic)


_open: dict[str, OpenTask] = {}
_lock = threading.Lock()


def new_token(execution_arn: str) -> str:
    """A token for one attempt at a task; it says to which execution it belongs."""
    return base64.b64encode(_PREFIX + f"{uuid.uuid4()}:{execution_arn}".encode()).decode()


def open_task(running: Running, token: str) -> OpenTask:
    """Let `token` be answered from now on."""
    task = OpenTask(running, token)
    with _lock:
        _open[token] = task
    return task


def close_task(task: OpenTask) -> None:
    """Refuse answers with the task's token from now on."""
    with _lock:
        _open.pop(task.token, None)


def apply() -> None:
    """Replace the three calls that answer tokens. Tokens of activities stay with ministack."""
    states = module("services.stepfunctions")
    error_response = module("core.responses").error_response_json
    ok = module("core.responses").json_response

    def refusal(token: object) -> Any:
        execution_arn = execution_of(token)
        if execution_arn is None:
            return error_response("InvalidToken", "Invalid Token: 'Invalid token'", 400)
        if execution_arn in states._executions:
            return error_response("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'", 400)
        return error_response("TaskDoesNotExist", "Task Does Not Exist: 'Provided task does not exist'", 400)

    def answer(token: object, given: Succeeded | Failed) -> Any:
        with _lock:
            task = _open.get(token) if isinstance(token, str) else None
        if task is None:
            return refusal(token)
        with task.running.changed:
            if task.answer is not None or task.running.ended:
                return refusal(token)
            task.answer = given
            task.running.changed.notify_all()
        close_task(task)
        return ok({})

    def send_task_success(data: dict[str, Any]) -> Any:
        """SendTaskSuccess."""
        if data.get("taskToken") in states._task_tokens:
            return activity_success(data)
        output = data.get("output", "")
        try:
            json.loads(output)
        except ValueError as error:
            return error_response("InvalidOutput", f"Invalid Output: '{error}'", 400)
        return answer(data.get("taskToken"), Succeeded(output))

    def send_task_failure(data: dict[str, Any]) -> Any:
        """SendTaskFailure."""
        if data.get("taskToken") in states._task_tokens:
            return activity_failure(data)
        error, cause = data.get("error") or "", data.get("cause") or ""
        for name, value, limit in (("error", error, _MAX_ERROR_LENGTH), ("cause", cause, _MAX_CAUSE_LENGTH)):
            if len(value) > limit:
                return error_response(
                    "ValidationException",
                    f"1 validation error detected: Value at '{name}' failed to satisfy constraint: "
                    f"Member must have length less than or equal to {limit}",
                    400,
                )
        return answer(data.get("taskToken"), Failed(error, cause))

    def send_task_heartbeat(data: dict[str, Any]) -> Any:
        """SendTaskHeartbeat: set the clock back; the history does not tell of it."""
        token = data.get("taskToken")
        if token in states._task_tokens:
            return activity_heartbeat(data)
        with _lock:
            task = _open.get(token) if isinstance(token, str) else None
        if task is None:
            return refusal(token)
        with task.running.changed:
            if task.answer is not None or task.running.ended:
                return refusal(token)
            task.heartbeat_at = time.monotonic()
            task.running.changed.notify_all()
        return ok({})

    activity_success = replace(states, "_send_task_success", "data", send_task_success)
    activity_failure = replace(states, "_send_task_failure", "data", send_task_failure)
    activity_heartbeat = replace(states, "_send_task_heartbeat", "data", send_task_heartbeat)


def execution_of(token: object) -> str | None:
    """The ARN of the execution that a token was made for, or None when it is no token at all."""
    if not isinstance(token, str):
        return None
    try:
        plain = base64.b64decode(token, validate=True)
    except (binascii.Error, ValueError):
        return None
    if not plain.startswith(_PREFIX):
        return None
    _, _, execution_arn = plain.removeprefix(_PREFIX).decode(errors="replace").partition(":")
    return execution_arn or None
