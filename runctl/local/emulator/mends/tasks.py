"""Task states: timeouts, heartbeats, task tokens, retries, catches, and the history that tells of them.

Sources: Step Functions Developer Guide, "Task workflow state" (state-task), "Handling errors in Step Functions
workflows" (concepts-error-handling), "Wait for a Callback with Task Token" (connect-to-resource); API Reference,
HistoryEvent. The heartbeat's clock starts when the task was handed over, that is when the invocation returned.
"""

from __future__ import annotations

import contextvars
import json
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from runctl.local.emulator.mends import retries
from runctl.local.emulator.mends.running import CURRENT, Running
from runctl.local.emulator.mends.task_tokens import Failed, OpenTask, close_task, new_token, open_task
from runctl.local.emulator.seam import module, replace

DEFAULT_TIMEOUT_S: Final = 99_999_999
"""A task without TimeoutSeconds (Developer Guide, state-task)."""

_CALLBACK: Final = ".waitForTaskToken"


class _ClockRanOut(Exception):
    """A task's time is over; `name` is the error that says which clock."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def apply() -> None:
    """Replace the engine's Task state and its matching of errors."""
    states = module("services.stepfunctions")
    replace(states, "_execute_task", "state_def, raw_input, execution, ctx", partial(_execute_task, states))
    replace(states, "_error_matches", "error_equals, error", retries.matches)


def _execute_task(
    states: Any, state: dict[str, Any], data: Any, execution: dict[str, Any], context: dict[str, Any]
) -> tuple[Any, str | None]:
    """Run a Task state with its retries and catches; return its output and the next state's name."""
    language = states._state_query_language(state, context)
    retried: dict[int, int] = {}
    while True:
        context["State"]["RetryCount"] = sum(retried.values())
        try:
            result = _Attempt(states, state, data, execution, context).run()
            return _output(states, state, data, context, result, language), states._next_or_end(state)
        except states._ExecutionError as error:
            retrier, index = states._find_matching_retrier(state.get("Retry", []), error.error, retried)
            if retrier is not None:
                states._scaled_sleep(retries.delay_s(retrier, retried.get(index, 0)))
                retried[index] = retried.get(index, 0) + 1
                continue
            catcher = states._find_matching_catcher(state.get("Catch", []), error.error)
            if catcher is None:
                raise
            told = {"Error": error.error, "Cause": error.cause}
            return states._apply_catcher(catcher, data, context, language, told), catcher["Next"]


def _output(states: Any, state: dict[str, Any], data: Any, context: dict[str, Any], result: Any, language: str) -> Any:
    """The state's output: ResultSelector, ResultPath and OutputPath, or JSONata's Output."""
    if language == "JSONata":
        output = states._apply_jsonata_output(state, data, context, result=result, default=result)
        states._apply_state_assign(state, data, context, result=result)
        return output
    selected = states._apply_result_selector(state, result)
    return states._apply_output_path(state, states._apply_result_path(state, data, selected), context)


@dataclass
class _Attempt:
    """One try at a task: scheduled, started, perhaps handed over, and ended by its answer or a clock."""

    states: Any
    state: dict[str, Any]
    data: Any
    execution: dict[str, Any]
    context: dict[str, Any]
    running: Running = field(default_factory=CURRENT.get)

    @property
    def resource(self) -> str:
        return self.state["Resource"]

    def run(self) -> Any:
        """Return the task's result. Raises the engine's error for whatever else became of it."""
        is_callback = self.resource.endswith(_CALLBACK)
        task: OpenTask | None = None
        if is_callback:
            token = new_token(self.execution["executionArn"])
            self.context["Task"] = {"Token": token}
            task = open_task(self.running, token)
        try:
            return self._run(task)
        finally:
            if task is not None:
                close_task(task)

    def _run(self, task: OpenTask | None) -> Any:
        arguments = self._arguments()
        timeout_s = self._limit("TimeoutSeconds")
        heartbeat_s = self._limit("HeartbeatSeconds")
        names = _names(self.resource)
        self._tell_scheduled(names, arguments, timeout_s, heartbeat_s)
        self._add("TaskStarted", names)
        give_up_at = time.monotonic() + (DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s)
        invocation = self._invoke(arguments)
        try:
            result = self._await_invocation(invocation, task, give_up_at)
            if task is not None and task.answer is None:
                self._add("TaskSubmitted", names, {"output": json.dumps(result)})
            if task is not None:
                result = self._await_answer(task, give_up_at, heartbeat_s)
        except _ClockRanOut as clock:
            self._add("TaskTimedOut", names, {"error": clock.name})
            raise self.states._ExecutionError(clock.name, "") from clock
        except self.states._ExecutionError as error:
            self._add("TaskFailed", names, {"error": error.error, "cause": error.cause})
            raise
        self._add("TaskSucceeded", names, {"output": json.dumps(result), "outputDetails": {"truncated": False}})
        return result

    def _arguments(self) -> Any:
        if self.states._state_query_language(self.state, self.context) == "JSONata":
            return self.states._apply_jsonata_arguments(self.state, self.data, self.context)
        effective = self.states._apply_input_path(self.state, self.data, self.context)
        return self.states._apply_parameters(self.state, effective, self.context)

    def _limit(self, name: str) -> float | None:
        """TimeoutSeconds or HeartbeatSeconds, given as a number, by a path or by JSONata; None when not given."""
        path = self.state.get(f"{name}Path")
        if path is not None:
            effective = self.states._apply_input_path(self.state, self.data, self.context)
            value = self.states._resolve_path_or_ctx(path, effective, self.context)
        elif name in self.state and self.states._state_query_language(self.state, self.context) == "JSONata":
            value = self.states._jsonata_state_field(self.state, name, "number", self.data, self.context)
        else:
            value = self.state.get(name)
            if value is None:
                return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0 or value != int(value):
            where = f"{name}Path '{path}'" if path is not None else name
            raise self.states._ExecutionError(
                "States.Runtime", f"{where} must give a positive whole number of seconds, and gives {value!r}."
            )
        return value

    def _invoke(self, arguments: Any) -> Future[Any]:
        """Call the resource in a thread of its own, so that neither a clock nor an end need wait for it."""

        def tell(_: Future[Any]) -> None:
            with self.running.changed:
                self.running.changed.notify_all()

        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="task-invocation")
        resource = self.resource.removesuffix(_CALLBACK)
        # Threads do not inherit context variables, and ministack keeps the account and region in two.
        future = pool.submit(contextvars.copy_context().run, self.states._invoke_resource, resource, arguments)
        pool.shutdown(wait=False)
        future.add_done_callback(tell)
        return future

    def _await_invocation(self, invocation: Future[Any], task: OpenTask | None, give_up_at: float) -> Any:
        """The call's result; None for a callback task whose token was answered before the call returned."""
        answered = _answered(task)
        with self.running.changed:
            if not self.running.wait_for(lambda: invocation.done() or answered(), give_up_at):
                raise _ClockRanOut("States.Timeout")
            return None if answered() else invocation.result()

    def _await_answer(self, task: OpenTask, give_up_at: float, heartbeat_s: float | None) -> Any:
        """The output that the token was answered with."""
        with self.running.changed:
            task.heartbeat_at = time.monotonic()
            while task.answer is None:
                silent_at = give_up_at if heartbeat_s is None else task.heartbeat_at + heartbeat_s
                heard = task.heartbeat_at
                woken = self.running.wait_for(
                    lambda heard=heard: task.answer is not None or task.heartbeat_at != heard,
                    min(give_up_at, silent_at),
                )
                if not woken:
                    raise _ClockRanOut("States.HeartbeatTimeout" if silent_at < give_up_at else "States.Timeout")
            answer = task.answer
        if isinstance(answer, Failed):
            raise self.states._ExecutionError(answer.error, answer.cause)
        return json.loads(answer.output)

    def _tell_scheduled(
        self, names: dict[str, str], arguments: Any, timeout_s: float | None, heartbeat_s: float | None
    ) -> None:
        told: dict[str, Any] = {"region": self.states.get_region(), "parameters": json.dumps(arguments)}
        if timeout_s is not None:
            told["timeoutInSeconds"] = int(timeout_s)
        if heartbeat_s is not None:
            told["heartbeatInSeconds"] = int(heartbeat_s)
        self._add("TaskScheduled", names, told)

    def _add(self, event: str, names: dict[str, str], more: dict[str, Any] | None = None) -> None:
        """Write to the history, unless the execution has ended: its ending is the last event."""
        if self.running.ended:
            return
        details = f"{event[0].lower()}{event[1:]}EventDetails"
        self.states._add_event(self.execution, event, {details: {**names, **(more or {})}})


def _answered(task: OpenTask | None) -> Callable[[], bool]:
    return lambda: task is not None and task.answer is not None


def _names(resource: str) -> dict[str, str]:
    """`resourceType` and `resource` as the history names them: `lambda` and `invoke.waitForTaskToken`."""
    if resource.startswith("arn:aws:states:::"):
        kind, _, action = resource.removeprefix("arn:aws:states:::").rpartition(":")
        return {"resourceType": kind, "resource": action}
    return {"resourceType": "lambda" if ":function:" in resource else "activity", "resource": resource}
