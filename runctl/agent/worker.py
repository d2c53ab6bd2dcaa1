"""Threads that do one small thing again and again."""

import threading
from collections.abc import Callable
from types import TracebackType

from runctl.agent.run_log import Say


class Worker:
    """Calls `step` every `interval_s` until it is stopped.

    An OSError of `step` is of the world, which may be better at the next step: it is told. What else it raises is our
    own fault, and kept for the supervisor to raise.
    """

    def __init__(self, name: str, step: Callable[[], object], interval_s: float, say: Say) -> None:
        self._name = name
        self._say = say
        self._said = ""
        self._step = step
        self._interval_s = interval_s
        self._stopping = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._error: Exception | None = None

    def __enter__(self) -> "Worker":
        """Start."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ask for the end, without waiting: a call that hangs must not hold the supervisor."""
        self._ask_to_stop()

    def nudge(self) -> None:
        """Let the next step come at once."""
        self._wake.set()

    def stop(self, limit_s: float) -> bool:
        """Ask for the end and wait for it; says whether it came in time."""
        self._ask_to_stop()
        self._thread.join(max(0.0, limit_s))
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raise what `step` raised."""
        if self._error is not None:
            raise self._error

    def _ask_to_stop(self) -> None:
        self._stopping = True
        self._wake.set()

    def _try(self) -> None:
        try:
            self._step()
        except OSError as error:
            if str(error) != self._said:
                self._say(f"{self._name}: {error}; trying on")
            self._said = str(error)
        else:
            self._said = ""

    def _run(self) -> None:
        try:
            while True:
                self._try()
                self._wake.wait(self._interval_s)
                self._wake.clear()
                if self._stopping:  # asked after clearing: `_ask_to_stop` notes it before it wakes
                    return
        except Exception as error:  # noqa: BLE001 - not swallowed: `check` raises it in the supervisor, whose boundary tells
            self._error = error
