"""Lambda in virtual time: the real handlers over the in-memory ports, killed, refused and slowed at any call."""

import importlib
import inspect
import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from types import SimpleNamespace
from typing import Any, Final

from runctl.errors import AwsUnavailable, RunctlError, Throttled
from runctl.model.names import Function
from tests.chaos.faults import Weather
from tests.chaos.loop import Loop
from tests.chaos.truth import Ledger, Violation

FUNCTION_TIMEOUT_S: Final = 60.0
"""stacks/constructs/functions.py."""

CRASHES: Final = ("Sandbox.Timedout", "Runtime.ExitError", "Lambda.Unknown")
RETRY_AFTER_S: Final = (60.0, 120.0)
"""Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous invocation"."""

MAX_DEPTH: Final = 4
"""How many functions may wait for each other's time to pass; more would only be slow."""

_CONTEXT: Final = SimpleNamespace(
    function_name="runctl",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:runctl",
    aws_request_id="52fdfc07-2182-454f-963f-5f0f9a621d72",
)


class Killed(BaseException):
    """The function's process is gone. Not an Exception: no function of ours may catch it."""


class FunctionFailed(Exception):
    """An invocation failed: the error's name, its sentence, and whether the fault was ours."""

    def __init__(self, error: str, message: str, *, by_fault: bool) -> None:
        super().__init__(error, message)
        self.error = error
        self.message = message
        self.by_fault = by_fault


class Port:
    """A port of which each call may go wrong."""

    def __init__(self, name: str, port: Any, invocation: "Invocation") -> None:
        self._name = name
        self._port = port
        self._invocation = invocation

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._port, method)
        invocation, name = self._invocation, self._name
        if not inspect.ismethod(call) and not inspect.isfunction(call):
            return Port(f"{name}.{method}", call, invocation)  # a port beside a port

        def called(*args: Any, **kwargs: Any) -> Any:
            invocation.before(name, method)
            answer = call(*args, **kwargs)
            invocation.after(name, method)
            return answer if not isinstance(answer, Iterator) else invocation.slowly(answer)

        return called


class Invocation:
    """One invocation of a function, and the ports that it finds."""

    def __init__(self, runtime: "Runtime", function: str, skew_s: float) -> None:
        self._runtime = runtime
        self._function = function
        self._skew_s = skew_s
        self._began = runtime.loop.now
        self._ports: dict[str, Any] = {}
        self.faults: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._ports:
            port = getattr(self._runtime.world, name)
            self._ports[name] = port if name == "settings" else Port(name, port, self)
        return self._ports[name]

    def now(self) -> datetime:
        """Tell the time by this process's clock."""
        return self._runtime.loop.time(self._skew_s)

    def before(self, port: str, method: str) -> None:
        """Let time pass, or something go wrong before the call does anything."""
        runtime = self._runtime
        weather, now = runtime.weather, runtime.loop.now
        if runtime.depth <= MAX_DEPTH and weather.strikes("slow", now):
            runtime.loop.pass_time(runtime.chance.choice((0.05, 0.5, 3.0, 12.0)))
        if runtime.loop.now - self._began > FUNCTION_TIMEOUT_S:
            self._fault("ran out of time at", port, method)
            raise Killed("Sandbox.Timedout")
        if weather.strikes("killed", now):
            self._fault("is killed before", port, method)
            raise Killed(runtime.chance.choice(CRASHES))
        if weather.strikes("refused", now):
            self._fault("is refused at", port, method)
            if runtime.chance.random() < 0.5:
                raise Throttled(f"{method}: slow down", aws_code="ThrottlingException", operation=method)
            raise AwsUnavailable(f"{method}: no connection", operation=method)

    def after(self, port: str, method: str) -> None:
        """Let something go wrong when the call has done its work."""
        runtime = self._runtime
        weather, now = runtime.weather, runtime.loop.now
        if weather.strikes("killed", now):
            self._fault("is killed after", port, method)
            raise Killed(runtime.chance.choice(CRASHES))
        if weather.strikes("unanswered", now):
            self._fault("gets no answer of", port, method)
            raise AwsUnavailable(f"{method}: the answer was lost", operation=method)

    def slowly(self, answers: Iterator[Any]) -> Iterator[Any]:
        """Read page after page: the world goes on between two."""
        for answer in answers:
            yield answer
            if self._runtime.depth <= MAX_DEPTH and self._runtime.weather.strikes("slow", self._runtime.loop.now):
                self._runtime.loop.pass_time(1.0)

    def _fault(self, what: str, port: str, method: str) -> None:
        self.faults.append(what)
        self._runtime.ledger.tell(self._function, "{} {}.{}", what, port, method)


class Runtime:
    """Invokes functions; `world` holds the ports by the names that `runctl.controller.deployment` gives them."""

    def __init__(self, loop: Loop, weather: Weather, ledger: Ledger, world: Any) -> None:
        self.loop = loop
        self.weather = weather
        self.ledger = ledger
        self.world = world
        self.chance = weather.chance
        self.depth = 0
        self.dead_letters: list[tuple[str, Any]] = []
        self.checks: Callable[[], None] = lambda: None
        self.invocations = 0

    def invoke(self, function: str, event: Any) -> Any:
        """Invoke and wait for the answer. Raises FunctionFailed."""
        if self.weather.strikes("crowded", self.loop.now):
            self.ledger.tell(function, "is not invoked: there is no concurrency left")
            raise FunctionFailed("Lambda.TooManyRequestsException", "Rate Exceeded.", by_fault=True)
        module = _module(function)
        skew_s = self.chance.uniform(-0.2, 0.2) if self.weather.faults.wrong_clock else 0.0
        invocation = Invocation(self, function, skew_s)
        outer, module.deployment = module.deployment, lambda: invocation
        self.depth += 1
        self.invocations += 1
        try:
            answer = module.handler(event, _CONTEXT)
        except Killed as killed:
            raise FunctionFailed(str(killed), f"{function} exited", by_fault=True) from None
        except RunctlError as error:
            self.ledger.tell(function, "raises {}: {}", type(error).__name__, error.message)
            raise FunctionFailed(type(error).__name__, error.message, by_fault=bool(invocation.faults)) from error
        except Exception as error:
            raise Violation(f"{function} broke with {type(error).__name__}: {error}") from error
        finally:
            self.depth -= 1
            module.deployment = outer
            self.checks()
        self.ledger.tell(function, "{}", answer)
        return answer

    def invoke_later(self, function: str, event: Any, seconds: float = 0.0, tries: int = 0) -> None:
        """Invoke as EventBridge does: a failure is tried twice more, and then ends in the dead-letter queue."""
        self.loop.after(seconds, lambda: self._invoke_now(function, event, tries))

    def _invoke_now(self, function: str, event: Any, tries: int) -> None:
        try:
            self.invoke(function, event)
        except FunctionFailed as failed:
            if failed.error == "Lambda.TooManyRequestsException":
                self.invoke_later(function, event, self.chance.uniform(1, 30), tries)
            elif tries < len(RETRY_AFTER_S):
                self.invoke_later(function, event, RETRY_AFTER_S[tries], tries + 1)
            else:
                self.ledger.tell(function, "is given up: the event lies in the dead-letter queue")
                self.dead_letters.append((function, event))


@cache
def _module(function: str) -> Any:
    return importlib.import_module(f"lambdas.{Function(function).value}.handler")


def _loggers() -> list[Any]:
    return [_module(function).logger for function in Function]


def quiet_for_good() -> None:
    """Let the functions log nothing in this process: a story has its own way to tell."""
    for logger in _loggers():
        logger.setLevel(logging.CRITICAL)


@contextmanager
def quiet_handlers() -> Generator[None]:
    """Let the functions log nothing for a while."""
    levels = [(logger, logger.log_level) for logger in _loggers()]
    quiet_for_good()
    try:
        yield
    finally:
        for logger, level in levels:
            logger.setLevel(level)
