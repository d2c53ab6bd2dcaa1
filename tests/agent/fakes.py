"""Stand-ins for what the agent meets outside: each keeps what it was told and can be made to fail."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from signal import Signals
from typing import Any

from runctl.agent.clients import AwsRefused
from runctl.agent.heartbeat import DeadTokenError
from runctl.agent.object_store import Stored, save_chunks
from runctl.agent.training_process import Exit

START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


class FakeClock:
    """Time that moves only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return 1_000.0 + self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class MemoryStore:
    """A bucket in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.written: list[str] = []
        self.deleted: list[str] = []
        self.fetched: list[tuple[str, tuple[int, int] | None]] = []
        self.fails = False
        self.fails_each: int | None = None
        """Every so many calls one fails."""
        self.calls = 0
        self.refused = ""
        """Keys in which this stands cannot be written."""
        self.before_read: Callable[[Path], None] = lambda path: None

    def put(self, key: str, body: bytes) -> None:
        self._insist()
        if self.refused and self.refused in key:
            raise OSError("AccessDenied: not this key")
        self.objects[key] = body
        self.written.append(key)

    def put_file(self, key: str, path: Path) -> Stored:
        self._insist()
        self.before_read(path)
        body = path.read_bytes()
        self.put(key, body)
        return Stored(len(body), sha256(body).hexdigest())

    def get(self, key: str) -> bytes:
        self._insist()
        if key not in self.objects:
            raise AwsRefused("NoSuchKey", key)
        return self.objects[key]

    def get_file(
        self, key: str, path: Path, cancelled: Callable[[], bool], stretch: tuple[int, int] | None = None
    ) -> str:
        self._insist()
        self.fetched.append((key, stretch))
        if key not in self.objects:
            raise OSError(f"NoSuchKey: {key}")
        begin, end = stretch or (0, len(self.objects[key]))
        return save_chunks([self.objects[key][begin:end]], path, cancelled)

    def delete(self, keys: Iterable[str]) -> None:
        self._insist()
        for key in keys:
            self.objects.pop(key, None)
            self.deleted.append(key)

    def document(self, key: str) -> dict[str, Any]:
        return json.loads(self.objects[key])

    def _insist(self) -> None:
        self.calls += 1
        if self.fails or (self.fails_each is not None and self.calls % self.fails_each == 0):
            raise OSError("the bucket cannot be reached")


class FakeBus:
    """Keeps the events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.failures: dict[str, int] = {}
        """How many of the next events of a kind fail."""

    def put(self, kind: str, detail: str) -> None:
        if self.failures.get(kind, 0):
            self.failures[kind] -= 1
            raise OSError("the bus cannot be reached")
        event = json.loads(detail)
        assert event["kind"] == kind
        self.events.append(event)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]


class FakeHeartbeats:
    """Counts heartbeats; can be dead or out of reach. `living` is the one token that is waited for, if not all are."""

    def __init__(self) -> None:
        self.sent = 0
        self.is_dead = False
        self.fails = False
        self.living: str | None = None
        self.handed_off: str | None = "token"

    def newest_token(self) -> str | None:
        return self.handed_off

    def send(self, token: str) -> None:
        self.sent += 1
        if self.is_dead or self.living not in (None, token):
            raise DeadTokenError("TaskTimedOut")
        if self.fails:
            raise OSError("Step Functions cannot be reached")


class FakeStream:
    """Keeps the batches."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, str]]] = []
        self.fails = False
        self.answers_are_lost = False
        """Batches arrive, and nobody hears of it."""
        self.refused = 0
        self.asked = 0

    def put(self, events: list[tuple[int, str]]) -> int:
        if self.fails:
            raise OSError("CloudWatch cannot be reached")
        self.batches.append(list(events))
        if self.answers_are_lost:
            raise OSError("ReadTimeoutError")
        return self.refused

    def last_ms(self) -> int | None:
        self.asked += 1
        if self.fails:
            raise OSError("CloudWatch cannot be reached")
        return max((stamp for batch in self.batches for stamp, _ in batch), default=None)

    @property
    def lines(self) -> list[str]:
        return [message for batch in self.batches for _, message in batch]


class FakeMetadata:
    """IMDS as a dictionary."""

    def __init__(self, **items: str) -> None:
        self.items: dict[str, str] = dict(items)
        self.asked: list[str] = []
        self.fails = False

    def get(self, path: str) -> str | None:
        self.asked.append(path)
        if self.fails:
            raise OSError("no answer")
        return self.items.get(path)


class FakeLinks:
    """What links point to; a link that is not known fails."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents = contents
        self.read_urls: list[str] = []

    def read(self, url: str, start: int, length: int) -> Iterator[bytes]:
        self.read_urls.append(url)
        if url not in self.contents:
            raise OSError("403 Forbidden")
        yield self.contents[url][start : start + length]


class FakePower:
    """Notes that the machine was powered off."""

    def __init__(self) -> None:
        self.is_off = False

    def off(self) -> None:
        self.is_off = True


class FakeTraining:
    """A training that only hears what it is told."""

    def __init__(self) -> None:
        self.signals: list[Signals] = []
        self.was_killed = False
        self.ended: Exit | None = None
        self.begun_at = 1_000.0
        self.boot_id = ""

    def poll(self) -> Exit | None:
        return self.ended

    def hears(self, number: Signals) -> bool:
        return False

    def send(self, number: Signals) -> None:
        self.signals.append(number)

    def kill(self) -> None:
        self.was_killed = True


class Sayings:
    """What the agent said in the log."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, text: str) -> None:
        self.lines.append(text)

    def __contains__(self, part: str) -> bool:
        return any(part in line for line in self.lines)


class FakeSecrets:
    """Secrets by their places; the others are refused."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def read(self, place: str) -> str:
        if place not in self.values:
            raise AwsRefused("AccessDeniedException", "not for this role")
        return self.values[place]
