"""How far a transfer is, on one line of a terminal that is written over; nothing where there is no terminal."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Final, TextIO

from runctl_cli.values import bytes_text

_PAUSE_S: Final = 0.1
"""Between two writes: more often is only flicker."""

_CLEAR: Final = "\r\x1b[K"
"""To the line's beginning, and erase what stands there (ECMA-48, EL)."""


class ByteProgress:
    """Counts bytes that several threads report."""

    def __init__(self, what: str, stream: TextIO, *, now: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._stream = stream
        self._is_shown = stream.isatty()
        self._now = now
        self._lock = Lock()
        self._sent = 0
        self._due_at = now()

    def add(self, count: int, total: int) -> None:
        """Note that more bytes of `total` were sent, and show it where it is time to."""
        with self._lock:
            # A part that is sent again is counted back first (boto3 documentation, "The Callback parameter").
            self._sent += count
            if not self._is_shown or self._now() < self._due_at:
                return
            self._due_at = self._now() + _PAUSE_S
            self._stream.write(f"{_CLEAR}{self._what}: {bytes_text(self._sent)} of {bytes_text(total)}")
            self._stream.flush()

    def end(self) -> None:
        """Clear the line for what is said next."""
        if self._is_shown:
            self._stream.write(_CLEAR)
            self._stream.flush()
