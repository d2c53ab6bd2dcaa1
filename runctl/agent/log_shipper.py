"""Sends the training's log to CloudWatch Logs, in order, and keeps a copy in the bucket."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from runctl.agent.clients import AwsRefused
from runctl.agent.clock import Clock
from runctl.agent.log_reader import Line, read_lines
from runctl.agent.object_store import ObjectStore
from runctl.agent.run_log import RunLog
from runctl.agent.state_file import read_document, write_document

# CloudWatch Logs API Reference, PutLogEvents: 1,048,576 bytes and 10,000 events a batch; an event counts its UTF-8
# bytes and 26 more; the messages may not be empty, the timestamps not go back within a batch nor span 24 hours. All
# events of a batch of ours bear the same time.
BATCH_BYTES = 1_048_576
BATCH_EVENTS = 10_000
EVENT_BYTES = 26

COPY_INTERVAL_S = 300.0
"""How often the whole log is copied while the training runs: what a machine that dies at once may lose of the copy."""

COPY_SHARE = 50
"""Copying takes a fiftieth of the time at most: the log of weeks is copied less often."""

BAR_INTERVAL_S = 10.0
"""How often a line is shown that has no end yet, but that writes over itself."""

SETTLE_S = 10.0
"""How long a batch may take until CloudWatch Logs shows it: it is waited for before anybody asks."""

FUTURE_MS = 60 * 60 * 1_000
"""Times of batches only grow, unless the machine's clock was wrong by more than this and was set right."""


class Stream(Protocol):
    """CloudWatch Logs. Raises OSError when the batch did not get there."""

    def put(self, events: list[tuple[int, str]]) -> int:
        """Put a batch of (milliseconds since 1970, message); says how many were refused for good."""
        ...

    def last_ms(self) -> int | None:
        """The time of the newest event; None when there is none."""
        ...


@dataclass(frozen=True)
class Sent:
    """How far the log was sent, as it is kept on the disk."""

    offset: int = 0
    stamp_ms: int = 0
    """Time of the last batch; each has a later one, so that it can be told whether a batch got there."""
    pending: int = 0
    """Where the batch ends that was being sent with `stamp_ms`; 0 when none was."""


class LogShipper:
    """Follows the log file. A batch that does not get through is sent again before anything newer is read; one of which
    nobody knows, for no answer came or the agent died meanwhile, is asked for."""

    def __init__(
        self,
        log: RunLog,
        state: Path,
        stream: Stream,
        store: ObjectStore,
        key: str,
        clock: Clock,
        wait: Callable[[float], object],
    ) -> None:
        self._log = log
        self._state = state
        self._stream = stream
        self._store = store
        self._key = key
        self._clock = clock
        self._wait = wait
        self._sent = Sent(**(read_document(state) or {}))
        self._is_doubtful = self._sent.pending > 0
        self._bar_due_at = clock.monotonic() + BAR_INTERVAL_S
        self._copy_due_at = clock.monotonic() + COPY_INTERVAL_S
        self._copied_bytes = -1
        self._has_refused = False
        self._lock = threading.Lock()
        self.failure = ""
        """What the last try said when it did not get through."""

    def step(self) -> None:
        """Send what is new; copies the file now and then."""
        with self._lock:
            self._send_new(final=False)
            begun_at = self._clock.monotonic()
            if begun_at >= self._copy_due_at:
                self._copy()
                took_s = self._clock.monotonic() - begun_at
                self._copy_due_at = begun_at + max(COPY_INTERVAL_S, COPY_SHARE * took_s)

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
        try:
            if self._is_doubtful:
                self._settle()
            # What is printed meanwhile waits for the next step, or a batch would be sent for every few lines.
            until = self._log.path.stat().st_size
            while (final or self._sent.offset < until) and (lines := self._read(final=final)):
                while lines:
                    size = batch_size(lines)
                    self._send(lines[:size])
                    lines = lines[size:]
        except OSError as error:
            self.failure = str(error)
            return False
        return True

    def _read(self, *, final: bool) -> list[Line]:
        now = self._clock.monotonic()
        is_bar_due = now >= self._bar_due_at
        lines = read_lines(self._log.path, self._sent.offset, show_unfinished=is_bar_due, final=final)
        if is_bar_due or lines:
            self._bar_due_at = now + BAR_INTERVAL_S
        return lines

    def _send(self, lines: Sequence[Line]) -> None:
        end = lines[-1].end
        stamp_ms = self._sent.stamp_ms
        if self._sent.pending != end:
            stamp_ms = self._next_stamp_ms()
            self._note(Sent(self._sent.offset, stamp_ms, end))
        try:
            refused = self._stream.put([(stamp_ms, line.text) for line in lines])
        except AwsRefused:
            raise
        except OSError:  # an answer that did not come: the batch may be there all the same
            self._is_doubtful = True
            raise
        self._note(Sent(end, stamp_ms))
        if refused and not self._has_refused:
            self._has_refused = True  # said once: it is a line as well
            self._log.say(f"CloudWatch Logs refused {refused} lines; is the machine's clock wrong?")

    def _settle(self) -> None:
        """Find out whether the batch got there that the agent before this one was sending when it died."""
        self._wait(SETTLE_S)
        last_ms = self._stream.last_ms()
        self._is_doubtful = False
        has_arrived = last_ms is not None and last_ms >= self._sent.stamp_ms
        self._note(Sent(self._sent.pending if has_arrived else self._sent.offset, self._sent.stamp_ms))

    def _next_stamp_ms(self) -> int:
        now_ms = int(self._clock.now().timestamp() * 1000)
        last_ms = self._sent.stamp_ms
        return now_ms if now_ms > last_ms or last_ms - now_ms > FUTURE_MS else last_ms + 1

    def _note(self, sent: Sent) -> None:
        """A full disk must not stop the log: what is not noted is needed only by an agent that is started again."""
        self._sent = sent
        try:
            write_document(self._state, asdict(sent))
        except OSError as error:
            self.failure = str(error)


def batch_size(lines: Sequence[Line]) -> int:
    """Count how many of the first lines fit into one batch."""
    left = BATCH_BYTES
    for count, line in enumerate(lines[:BATCH_EVENTS]):
        left -= len(line.text.encode()) + EVENT_BYTES
        if left < 0:
            return count
    return min(len(lines), BATCH_EVENTS)
