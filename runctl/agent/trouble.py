"""Troubles that a run goes on through, and tells of: the bucket refuses, the network is gone, the disk is full."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from runctl.agent.clock import Clock
from runctl.agent.heartbeat import Heartbeats
from runctl.agent.log_shipper import Stream
from runctl.agent.object_store import ObjectStore, Stored

TOLD_AFTER_S = 60.0
"""What is over sooner is nothing to tell of: the next try got through."""

REASON_CHARACTERS = 160

Warn = Callable[[str], None]
Answer = TypeVar("Answer")


class Trouble:
    """One thing that may go wrong for a while. Told once when it lasts, and once more when it is over."""

    def __init__(self, what: str, over: str, warn: Warn, clock: Clock, *, told_after_s: float = TOLD_AFTER_S) -> None:
        """`what`: a sentence's beginning, e.g. "The bucket cannot be written"; `over`: what is said at its end."""
        self._what = what
        self._over = over
        self._warn = warn
        self._clock = clock
        self._told_after_s = told_after_s
        self._since: float | None = None
        self._is_told = False
        self._lock = threading.Lock()

    def came(self, reason: str) -> None:
        """It is there, or still there."""
        now = self._clock.monotonic()
        with self._lock:
            if self._since is None:
                self._since = now
            if self._is_told or now - self._since < self._told_after_s:
                return
            self._is_told = True
        self._warn(f"{self._what} ({reason[:REASON_CHARACTERS]}). The training goes on; what is owed is sent later.")

    def went(self) -> None:
        """It is not there."""
        with self._lock:
            since, is_told = self._since, self._is_told
            self._since, self._is_told = None, False
        if since is not None and is_told:
            minutes = (self._clock.monotonic() - since) / 60
            self._warn(f"{self._over}, after {minutes:.0f} min.")

    def watch(self, call: Callable[[], Answer]) -> Answer:
        """Make a call whose failure is this trouble. Raises what the call raises."""
        try:
            answer = call()
        except FileNotFoundError:  # a file of the machine's own that is gone
            raise
        except OSError as error:
            self.came(str(error))
            raise
        self.went()
        return answer


class WatchedStore:
    """A bucket whose refusals are told of."""

    def __init__(self, store: ObjectStore, trouble: Trouble) -> None:
        self._store = store
        self._trouble = trouble

    def put(self, key: str, body: bytes) -> None:
        """Write a small object."""
        self._trouble.watch(lambda: self._store.put(key, body))

    def put_file(self, key: str, path: Path) -> Stored:
        """Write a file of any size."""
        return self._trouble.watch(lambda: self._store.put_file(key, path))

    def get(self, key: str) -> bytes:
        """Read a small object."""
        return self._store.get(key)

    def get_file(
        self, key: str, path: Path, cancelled: Callable[[], bool], stretch: tuple[int, int] | None = None
    ) -> str:
        """Write an object, or a stretch of it, to a file."""
        return self._store.get_file(key, path, cancelled, stretch)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects."""
        self._store.delete(keys)


class WatchedStream:
    """A log stream whose refusals are told of."""

    def __init__(self, stream: Stream, trouble: Trouble) -> None:
        self._stream = stream
        self._trouble = trouble

    def put(self, events: list[tuple[int, str]]) -> int:
        """Put a batch."""
        return self._trouble.watch(lambda: self._stream.put(events))

    def last_ms(self) -> int | None:
        """The time of the newest event."""
        return self._trouble.watch(self._stream.last_ms)


class WatchedHeartbeats:
    """Heartbeats whose silence is told of, when somebody can be told again."""

    def __init__(self, heartbeats: Heartbeats, trouble: Trouble) -> None:
        self._heartbeats = heartbeats
        self._trouble = trouble

    def send(self, token: str) -> None:
        """Send one. A dead token is an answer."""
        self._trouble.watch(lambda: self._heartbeats.send(token))

    def newest_token(self) -> str | None:
        """Read the token that the hand-off holds now."""
        return self._heartbeats.newest_token()
