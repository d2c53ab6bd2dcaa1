"""Sends the training's log to CloudWatch Logs, in order, and keeps a copy in the bucket."""

import threading
from typing import Protocol

from runctl.agent.clock import Clock
from runctl.agent.object_store import ObjectStore
from runctl.agent.run_log import MAX_LINE_BYTES, LineReader, RunLog, as_terminal

# CloudWatch Logs API Reference, PutLogEvents: 1,048,576 bytes and 10,000 events a batch; an event counts its UTF-8
# bytes and 26 more; the messages may not be empty, the timestamps not go back.
BATCH_BYTES = 1_048_576
BATCH_EVENTS = 10_000
EVENT_BYTES = 26

COPY_INTERVAL_S = 300.0
"""How often the whole log is copied while the training runs: what a machine that dies at once may lose of the copy."""


class Stream(Protocol):
    """CloudWatch Logs. Raises OSError when the batch did not get there."""

    def put(self, events: list[tuple[int, str]]) -> None:
        """Put a batch of (milliseconds since 1970, message)."""
        ...


class LogShipper:
    """Follows the log file. A batch that does not get through is sent again before anything newer is read."""

    def __init__(self, log: RunLog, stream: Stream, store: ObjectStore, key: str, clock: Clock) -> None:
        self._log = log
        self._reader = LineReader(log.path)
        self._stream = stream
        self._store = store
        self._key = key
        self._clock = clock
        self._waiting: list[tuple[int, str]] = []
        self._copied_at = clock.monotonic()
        self._copied_bytes = -1
        self._lock = threading.Lock()
        self.failure = ""
        """What the last try said when it did not get through."""

    def step(self) -> None:
        """Send what is new; copies the file now and then."""
        with self._lock:
            self._send_new(final=False)
            if self._clock.monotonic() - self._copied_at >= COPY_INTERVAL_S:
                self._copied_at = self._clock.monotonic()
                self._copy()

    def flush(self) -> bool:
        """Send all that is left, the last line without its end too, and copy the file; says whether all got there."""
        with self._lock:
            sent = self._send_new(final=True)
            return self._copy() and sent

    def _copy(self) -> bool:
        size = self._log.path.stat().st_size
        if size == self._copied_bytes:
            return True
        try:
            self._store.put_file(self._key, self._log.path)
        except OSError as error:
            self.failure = str(error)
            return False
        self._copied_bytes = size
        return True

    def _send_new(self, *, final: bool) -> bool:
        while True:
            if not self._waiting:
                self._waiting = self._stamped(self._reader.read(final=final))
            if not self._waiting:
                return True
            size = batch_size(self._waiting)
            try:
                self._stream.put(self._waiting[:size])
            except OSError as error:
                self.failure = str(error)
                return False
            del self._waiting[:size]

    def _stamped(self, lines: list[str]) -> list[tuple[int, str]]:
        stamp = int(self._clock.now().timestamp() * 1000)
        return [(stamp, part) for line in lines for part in _parts(as_terminal(line) or " ")]


def batch_size(events: list[tuple[int, str]]) -> int:
    """Count how many of the first events fit into one batch."""
    left = BATCH_BYTES
    for count, (_, message) in enumerate(events[:BATCH_EVENTS]):
        left -= len(message.encode()) + EVENT_BYTES
        if left < 0:
            return count
    return min(len(events), BATCH_EVENTS)


def _parts(line: str) -> list[str]:
    """Cut a line that is too long for one event. A character has at most four bytes."""
    if len(line.encode()) <= MAX_LINE_BYTES:
        return [line]
    width = MAX_LINE_BYTES // 4
    return [line[start : start + width] for start in range(0, len(line), width)]
