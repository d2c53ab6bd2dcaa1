"""The executions that run now, and how each of them waits and is woken.

ministack sleeps in the thread of an execution, so that nothing can end it early. Here every wait of an execution is a
wait on its one condition, which its end, an answered token or a heartbeat notifies.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar


class ExecutionEnded(BaseException):
    """Unwinds the thread of an execution that was ended from outside.

    Not an `Exception`, because neither Catch nor any other handler in between may hold it up.
    """


class Running:
    """One execution that runs. `ended` is guarded by `changed`."""

    def __init__(self, role_arn: str) -> None:
        self.role_arn = role_arn
        """What the execution may do."""
        self.changed = threading.Condition()
        self.ended = False

    def end(self) -> None:
        """Wake whoever waits in this execution, and let it unwind."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_for(self, predicate: Callable[[], bool], until: float | None) -> bool:
        """Wait until `predicate` holds or the monotonic time `until` is there; say whether it holds.

        Call it with `changed` held. Raises `ExecutionEnded` when the execution was ended meanwhile.
        """
        timeout_s = None if until is None else max(0.0, until - time.monotonic())
        self.changed.wait_for(lambda: self.ended or predicate(), timeout_s)
        if self.ended:
            raise ExecutionEnded
        return predicate()

    def sleep(self, seconds: float) -> None:
        """Sleep, unless the execution ends first. Raises `ExecutionEnded`."""
        with self.changed:
            self.wait_for(lambda: False, time.monotonic() + seconds)


CURRENT: ContextVar[Running] = ContextVar("running_execution")
"""The execution whose thread this is; branches of Parallel and Map states inherit it."""

_running: dict[str, Running] = {}
_lock = threading.Lock()


def begin(execution_arn: str, role_arn: str) -> Running:
    """Register the execution as running, with the rights of a role."""
    running = Running(role_arn)
    with _lock:
        _running[execution_arn] = running
    return running


def end(execution_arn: str) -> None:
    """Wake the thread of the execution, if it still has one, and forget the execution."""
    with _lock:
        running = _running.pop(execution_arn, None)
    if running is not None:
        running.end()


class Alarms:
    """Calls functions at monotonic times, all from one thread: an execution may have a year to run."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._thread: threading.Thread | None = None

    def at(self, when: float, call: Callable[[], object]) -> None:
        """Call `call` at the monotonic time `when`."""
        with self._changed:
            heapq.heappush(self._due, (when, next(self._order), call))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="execution-alarms", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                _, _, call = heapq.heappop(self._due)
            call()


ALARMS = Alarms()
