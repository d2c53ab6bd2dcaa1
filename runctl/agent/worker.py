"""Threads that do one small thing again and again."""

import threading
from collections.abc import Callable
from types import TracebackType


class Worker:
    """Calls `step` every `interval_s` until it is stopped. What `step` raises is kept for the supervisor to raise."""

    def __init__(self, name: str, step: Callable[[], object], interval_s: float) -> None:
        self._step = step
        self._interval_s = interval_s
        self._stopping = threading.Event()
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
        self._stopping.set()

    def stop(self, limit_s: float) -> bool:
        """Ask for the end and wait for it; says whether it came in time."""
        self._stopping.set()
        self._thread.join(max(0.0, limit_s))
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raise what `step` raised."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while True:
                self._step()
                if self._stopping.wait(self._interval_s):
                    return
        except Exception as error:  # noqa: BLE001 - not swallowed: `check` raises it in the supervisor, whose boundary tells
            self._error = error
