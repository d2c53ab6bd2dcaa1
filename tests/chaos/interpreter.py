"""Step Functions in virtual time: exactly the states and fields that our definition uses, and nothing else.

Sources: Amazon States Language specification; Step Functions Developer Guide, "Handling errors in Step Functions
workflows", "Wait for a Callback with Task Token", "Service integration patterns". `refused` lists what it cannot do;
tests/local/emulator/test_interpreter.py runs the same machines here and on the local target.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from runctl.model.base import iso
from tests.chaos.loop import Loop, Timer
from tests.chaos.paths import (
    MISSING,
    Json,
    at_path,
    fill,
    find_path,
    matches,
    named,
    put_path,
    seconds_of,
)

Definition = dict[str, Any]

TASK: Final = "arn:aws:states:::lambda:invoke"
CALLBACK: Final = "arn:aws:states:::lambda:invoke.waitForTaskToken"

_FIELDS: Final = {
    "Task": {
        *("Type", "Next", "End", "Resource", "Parameters", "ResultPath", "ResultSelector", "Retry", "Catch"),
        *("TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath"),
    },
    "Choice": {"Type", "Choices", "Default"},
    "Wait": {"Type", "SecondsPath", "Next"},
    "Succeed": {"Type"},
    "Fail": {"Type", "Error", "Cause", "ErrorPath", "CausePath"},
}
_CHOICES: Final = {"Variable", "Next", "IsPresent", "StringEquals"}
_RETRIES: Final = {"ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds", "JitterStrategy"}
_CATCHES: Final = {"ErrorEquals", "Next", "ResultPath"}
_TOP: Final = {"StartAt", "States", "TimeoutSeconds", "Comment"}
_CONTEXT: Final = {"$$.Task.Token", "$$.State.EnteredTime", "$$.State.RetryCount"}
_PARAMETERS: Final = {"FunctionName", "Payload", "Payload.$"}


def refused(definition: Definition) -> list[str]:
    """List what this interpreter would not do as Step Functions does."""
    found = [f"the machine's {name}" for name in definition.keys() - _TOP]
    for name, state in definition["States"].items():
        found += [f"{name}: {problem}" for problem in _refused(state)]
    return sorted(found)


def _refused(state: dict[str, Any]) -> Iterator[str]:
    kind = state["Type"]
    if kind not in _FIELDS:
        yield f"a state of type {kind}"
        return
    yield from (f"the field {name}" for name in state.keys() - _FIELDS[kind])
    if kind == "Task" and state["Resource"] not in (TASK, CALLBACK):
        yield f"the resource {state['Resource']}"
    yield from (f"the context's {path}" for path in _context_paths(state.get("Parameters")) if path not in _CONTEXT)
    yield from (f"the parameter {name}" for name in state.get("Parameters", {}).keys() - _PARAMETERS)
    for field_name, known in (("Choices", _CHOICES), ("Retry", _RETRIES), ("Catch", _CATCHES)):
        for part in state.get(field_name, []):
            yield from (f"{name} in {field_name}" for name in part.keys() - known)


def _context_paths(template: Json) -> Iterator[str]:
    if isinstance(template, dict):
        for value in template.values():
            yield from _context_paths(value)
    elif isinstance(template, str) and template.startswith("$$."):
        yield template


class TaskFailed(Exception):
    """A task's function failed: the error's name, and the cause as Step Functions shows it."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause


class Invoke(Protocol):
    """How a task's function is called; raises TaskFailed. It may take virtual time."""

    def __call__(self, function: str, payload: Json) -> Json:
        """Answer what the function answers."""
        ...


@dataclass
class _Attempt:
    """One try of a task."""

    token: str
    timers: list[Timer] = field(default_factory=list[Timer])
    heartbeat: Timer | None = None
    heartbeat_s: float | None = None
    is_over: bool = False


class Tokens:
    """Which attempt waits for which token."""

    def __init__(self) -> None:
        self._waiting: dict[str, Callable[[Json, TaskFailed | None], None]] = {}
        self._beats: dict[str, Callable[[], None]] = {}

    def register(self, token: str, answer: Callable[[Json, TaskFailed | None], None], beat: Callable[[], None]) -> None:
        """Let a token be answered."""
        self._waiting[token] = answer
        self._beats[token] = beat

    def forget(self, token: str) -> None:
        """Let a token be worth nothing."""
        self._waiting.pop(token, None)
        self._beats.pop(token, None)

    def succeed(self, token: str, output: Json) -> bool:
        """SendTaskSuccess; False for a token that nobody waits with."""
        return self._answer(token, output, None)

    def fail(self, token: str, error: str, cause: str) -> bool:
        """SendTaskFailure."""
        return self._answer(token, None, TaskFailed(error, cause))

    def heartbeat(self, token: str) -> bool:
        """SendTaskHeartbeat."""
        beat = self._beats.get(token)
        if beat is not None:
            beat()
        return beat is not None

    def _answer(self, token: str, output: Json, failure: TaskFailed | None) -> bool:
        answer = self._waiting.get(token)
        if answer is not None:
            self.forget(token)
            answer(output, failure)
        return answer is not None


class Execution:
    """One execution. `status` is one of Step Functions' own words."""

    def __init__(
        self,
        definition: Definition,
        name: str,
        given: Json,
        *,
        loop: Loop,
        tokens: Tokens,
        invoke: Invoke,
        chance: random.Random,
        on_end: Callable[["Execution"], object] = lambda _execution: None,
        on_enter: Callable[[str], object] = lambda _state: None,
    ) -> None:
        self.name = name
        self.status = "RUNNING"
        self.error = ""
        self.cause = ""
        self.output: Json = None
        self.entered: list[str] = []
        self.retries: list[str] = []
        """The error of each retry: it is a transition too."""
        self.data: Json = copy.deepcopy(given)
        self._definition = definition
        self._loop = loop
        self._tokens = tokens
        self._invoke = invoke
        self._chance = chance
        self._on_end = on_end
        self._on_enter = on_enter
        self._attempt: _Attempt | None = None
        self._tries: dict[int, int] = {}
        self._pause: Timer | None = None
        self._count = 0
        self._entered_at = ""
        limit = definition.get("TimeoutSeconds")
        self._limit = None if limit is None else loop.after(limit, self.time_out)

    @property
    def state(self) -> str:
        """The state that it is in, or was in when it ended."""
        return self.entered[-1]

    @property
    def transitions(self) -> int:
        """What Step Functions charges for."""
        return len(self.entered) + len(self.retries)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.status == "RUNNING"

    def start(self) -> None:
        """Go on until something is waited for."""
        self._enter(self._definition["StartAt"])

    def abort(self) -> None:
        """StopExecution: it ends at once, and its token is worth nothing."""
        self._end("ABORTED", "Stopped", "")

    def time_out(self) -> None:
        """Reach the machine's own limit: no state catches it."""
        self._end("TIMED_OUT", "States.Timeout", "")

    # -- states --------------------------------------------------------------------------------------------------

    def _enter(self, name: str) -> None:
        if not self.is_running:
            return None
        self.entered.append(name)
        self._entered_at = iso(self._loop.time())
        self._on_enter(name)
        self._tries = {}
        state = self._definition["States"][name]
        match state["Type"]:
            case "Task":
                self._try(state)
            case "Choice":
                self._enter(self._choose(state))
            case "Wait":
                seconds = at_path(state["SecondsPath"], self.data)
                if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
                    return self._end("FAILED", "States.Runtime", f"SecondsPath is {seconds!r}")
                self._pause = self._loop.after(seconds, lambda: self._enter(state["Next"]))
            case "Succeed":
                self.output = self.data
                self._end("SUCCEEDED", "", "")
            case "Fail":
                error, cause = (named(state, field_name, self.data) for field_name in ("Error", "Cause"))
                self._end("FAILED", error, cause)
            case kind:
                raise NotImplementedError(kind)
        return None

    def _choose(self, state: dict[str, Any]) -> str:
        for choice in state["Choices"]:
            found = find_path(choice["Variable"], self.data)
            if "IsPresent" in choice:
                holds = (found is not MISSING) is choice["IsPresent"]
            else:
                holds = found == choice["StringEquals"]
            if holds:
                return str(choice["Next"])
        return str(state["Default"])

    def _end(self, status: str, error: str, cause: str) -> None:
        if not self.is_running:
            return
        self.status, self.error, self.cause = status, error, cause
        self._close()
        for timer in (self._pause, self._limit):
            if timer is not None:
                timer.cancel()
        self._on_end(self)

    # -- tasks ---------------------------------------------------------------------------------------------------

    def _try(self, state: dict[str, Any]) -> None:
        if not self.is_running:
            return
        self._count += 1
        attempt = _Attempt(f"token-{self.name}-{self._count}")
        self._attempt = attempt
        waits = state["Resource"] == CALLBACK
        timeout_s = seconds_of(state, "TimeoutSeconds", self.data)
        if timeout_s is not None:
            late = TaskFailed("States.Timeout")
            attempt.timers.append(self._loop.after(timeout_s, lambda: self._settle(state, attempt, None, late)))
        if waits:
            attempt.heartbeat_s = seconds_of(state, "HeartbeatSeconds", self.data)
            self._beat(state, attempt)
            self._tokens.register(
                attempt.token,
                lambda output, failure: self._settle(state, attempt, output, failure),
                lambda: self._beat(state, attempt),
            )
        function, payload = self._parameters(state, attempt)
        try:
            answer = self._invoke(function, payload)
        except TaskFailed as failure:
            self._settle(state, attempt, None, failure)
            return
        if not waits:
            self._settle(state, attempt, {"ExecutedVersion": "$LATEST", "Payload": answer, "StatusCode": 200}, None)

    def _parameters(self, state: dict[str, Any], attempt: _Attempt) -> tuple[str, Json]:
        made = fill(state["Parameters"], self.data, self._context(attempt))
        return str(made["FunctionName"]), json.loads(json.dumps(made["Payload"]))

    def _context(self, attempt: _Attempt) -> dict[str, Any]:
        """The context object, as far as it is read here. A retry does not enter its state anew."""
        state = {"Name": self.state, "EnteredTime": self._entered_at, "RetryCount": sum(self._tries.values())}
        return {"Task": {"Token": attempt.token}, "State": state}

    def _beat(self, state: dict[str, Any], attempt: _Attempt) -> None:
        """A sign of life: the clock of the heartbeat begins again."""
        if attempt.heartbeat_s is None or attempt.is_over:
            return
        if attempt.heartbeat is not None:
            attempt.heartbeat.cancel()
        silent = TaskFailed("States.HeartbeatTimeout")
        attempt.heartbeat = self._loop.after(attempt.heartbeat_s, lambda: self._settle(state, attempt, None, silent))

    def _settle(self, state: dict[str, Any], attempt: _Attempt, result: Json, failure: TaskFailed | None) -> None:
        """End one try of a task, once: what comes later finds it over."""
        if attempt.is_over or not self.is_running or self._attempt is not attempt:
            return
        self._close()
        # Not at once: whoever answered goes on first, as on AWS, where an answer is a call to another service.
        if failure is None:
            self._loop.after(0.0, lambda: self._succeed(state, result))
        else:
            self._loop.after(0.0, lambda: self._fail(state, failure))

    def _close(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return
        attempt.is_over = True
        self._tokens.forget(attempt.token)
        for timer in (*attempt.timers, attempt.heartbeat):
            if timer is not None:
                timer.cancel()

    def _succeed(self, state: dict[str, Any], result: Json) -> None:
        if not self.is_running:
            return
        try:
            selected = fill(state["ResultSelector"], result, {}) if "ResultSelector" in state else result
        except KeyError as missing:
            self._end("FAILED", "States.Runtime", f"ResultSelector: {missing}")
            return
        self.data = put_path(state.get("ResultPath", "$"), self.data, selected)
        if state.get("End"):
            self.output = self.data
            self._end("SUCCEEDED", "", "")
        else:
            self._enter(state["Next"])

    def _fail(self, state: dict[str, Any], failure: TaskFailed) -> None:
        if not self.is_running:
            return
        for number, retrier in enumerate(state.get("Retry", [])):
            if matches(retrier["ErrorEquals"], failure.error):
                tries = self._tries.get(number, 0)
                if tries >= retrier.get("MaxAttempts", 3):
                    break
                self._tries[number] = tries + 1
                self.retries.append(failure.error)
                self._pause = self._loop.after(self._delay(retrier, tries), lambda: self._try(state))
                return
        for catcher in state.get("Catch", []):
            if matches(catcher["ErrorEquals"], failure.error):
                caught = {"Error": failure.error, "Cause": failure.cause}
                self.data = put_path(catcher.get("ResultPath", "$"), self.data, caught)
                self._enter(catcher["Next"])
                return
        self._end("FAILED", failure.error, failure.cause)

    def _delay(self, retrier: dict[str, Any], tries: int) -> float:
        longest = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** tries
        longest = min(longest, retrier.get("MaxDelaySeconds", longest))
        return self._chance.uniform(0, longest) if retrier.get("JitterStrategy") == "FULL" else float(longest)
