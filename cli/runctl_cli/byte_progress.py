"""How far a transfer is: on one line of a terminal, written over; elsewhere now and then on a line of its own."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Final, TextIO

from runctl_cli.values import bytes_text

_PAUSE_S: Final = 0.1
"""Between two writes: more often is only flicker."""

_LINE_PAUSE_S: Final = 10.0
"""Between two lines where they stay: a short transfer has none."""

_CLEAR: Final = "\r\x1b[K"
"""To the line's beginning, and erase what stands there (ECMA-48, EL)."""


class ByteProgress:
    """Counts bytes that several threads report. Without a stream nothing is shown."""

    def __init__(self, what: str, stream: TextIO | None, *, now: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._stream = stream
        self._is_terminal = stream is not None and stream.isatty()
        self._now = now
        self._lock = Lock()
        self._sent = 0
        self._began_at: float | None = None
        self._due_at = now() + (0.0 if self._is_terminal else _LINE_PAUSE_S)

    def add(self, count: int, total: int) -> None:
        """Note that more bytes of `total` were sent, and show it where it is time to."""
        stream = self._stream
        if stream is None:
            return
        with self._lock:
            now = self._now()
            if self._began_at is None:
                self._began_at = now
            # A part that is sent again is counted back first (boto3 documentation, "The Callback parameter").
            self._sent += count
            if now < self._due_at:
                return
            self._due_at = now + (_PAUSE_S if self._is_terminal else _LINE_PAUSE_S)
            text = f"{self._what}: {bytes_text(self._sent)} of {bytes_text(total)}{self._rate(now - self._began_at)}"
            stream.write(f"{_CLEAR}{text}" if self._is_terminal else f"{text}\n")
            stream.flush()

    def end(self) -> None:
        """Clear the line for what is said next."""
        if self._is_terminal and self._stream is not None:
            self._stream.write(_CLEAR)
            self._stream.flush()

    def _rate(self, seconds: float) -> str:
        return f", {bytes_text(round(self._sent / seconds))}/s" if seconds > 0 else ""
