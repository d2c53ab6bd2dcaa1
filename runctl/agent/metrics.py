"""Every ten seconds: what the training says of itself and how busy the machine is, to a stream of its own."""

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from runctl.agent.clock import Clock, iso
from runctl.agent.history import History
from runctl.agent.job import Job
from runctl.agent.log_shipper import Stream
from runctl.agent.object_store import ObjectStore
from runctl.agent.progress import Point
from runctl.agent.run_log import Say

INTERVAL_S = 10.0
POINTS_A_LOOK = 10
"""Points of the training that are kept of each interval: one a second, of those that say more."""

WAITING = 2_000
"""Events that wait while CloudWatch Logs cannot be reached: hours; then the oldest are dropped."""

A_BATCH = 500
"""Events of some hundred bytes: a batch holds a mebibyte."""


class Look(Protocol):
    """What says how busy something is."""

    def look(self) -> dict[str, float]:
        """Look now."""
        ...


class Metrics:
    """The series of one attempt: all of it to the stream as it comes, a short form to the bucket at the end."""

    def __init__(
        self,
        job: Job,
        take: Callable[[], list[Point]],
        looks: tuple[Look, ...],
        stream: Stream,
        store: ObjectStore,
        clock: Clock,
        say: Say,
    ) -> None:
        self._job = job
        self._take = take
        self._looks = looks
        self._stream = stream
        self._store = store
        self._clock = clock
        self._say = say
        self._history = History()
        self._waiting: deque[tuple[int, str]] = deque(maxlen=WAITING)
        self._is_failing = False
        self._lock = threading.Lock()

    def step(self) -> None:
        """Look, and send."""
        with self._lock:
            self._look()
            self._send()

    def finish(self) -> None:
        """Look a last time, and write the short form to the bucket."""
        with self._lock:
            self._look()
            self._send()
            document = self._history.document(self._job.run_id, self._job.attempt)
            if document is None:
                return
            try:
                self._store.put(f"{self._job.prefix}metrics.json", json.dumps(document).encode())
            except OSError as error:  # the stream has all of it
                self._say(f"the history of the metrics could not be uploaded: {error}")

    def _look(self) -> None:
        for point in thinned(self._take(), POINTS_A_LOOK):
            self._note("training", point.values, point.step)
        machine = {name: value for look in self._looks for name, value in look.look().items()}
        if machine:
            self._note("machine", machine, None)

    def _note(self, kind: str, values: Mapping[str, float], step: int | None) -> None:
        now = self._clock.now()
        self._history.add(kind, iso(now), now.timestamp(), values, step)
        event = {"kind": kind, **({} if step is None else {"step": step}), "values": values}
        self._waiting.append((int(now.timestamp() * 1000), json.dumps(event, separators=(",", ":"))))

    def _send(self) -> None:
        while self._waiting:
            batch = [self._waiting[place] for place in range(min(A_BATCH, len(self._waiting)))]
            try:
                self._stream.put(batch)
            except OSError as error:
                self._tell(error)
                return
            self._is_failing = False
            for _ in batch:
                self._waiting.popleft()

    def _tell(self, error: OSError) -> None:
        if not self._is_failing:
            self._say(f"the metrics could not be sent ({error}); trying on")
        self._is_failing = True


def thinned(points: list[Point], most: int) -> list[Point]:
    """Leave out points in between; the last stays."""
    if len(points) <= most:
        return points
    return [points[(place + 1) * len(points) // most - 1] for place in range(most)]
