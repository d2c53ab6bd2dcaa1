"""Tells the controller of checkpoints and figures, as often as is worth paying for."""

import threading
from collections.abc import Callable
from typing import Any

from runctl.agent.clock import Clock, iso
from runctl.agent.events import EventKind, EventSender
from runctl.agent.progress import Figures
from runctl.agent.run_log import Say

TELL_INTERVAL_S = 300.0
"""Each event is put, starts a function and writes the table with its indexes: about a hundred-thousandth of a dollar.
One in five minutes keeps a run of 24 hours below $0.003 for all that the controller does."""

BURST = 5
"""Checkpoints that are told at once when little was told before: a short run is followed as it goes."""

RETRY_S = 30.0

MOST_WARNINGS = 5
"""That one event carries: the controller reads as many."""

MOST_WAITING = 20
"""Each trouble is told of once when it lasts and once when it is over; of more than these the newest count."""


class Allowance:
    """How many events may be sent: one in every interval, and what was saved up to `burst` of them. Pure of clocks."""

    def __init__(self, interval_s: float, burst: int, now: float) -> None:
        self._interval_s = interval_s
        self._burst = burst
        self._level = float(burst)
        self._at = now

    def has_one(self, now: float) -> bool:
        """Whether an event may be sent."""
        return self._filled(now) >= 1.0

    def spend(self, now: float) -> None:
        """Note that one was sent; one that could not wait may take what is not there yet."""
        self._level, self._at = self._filled(now) - 1.0, now

    def _filled(self, now: float) -> float:
        return min(self._burst, self._level + (now - self._at) / self._interval_s)


class Telling:
    """The newest checkpoint and the newest figures on their way to the controller.

    A checkpoint's event carries the figures too, so that both cost one event. What is not told yet waits: the newest
    takes the place of the one before, and `flush` tells it whatever was told before.
    """

    def __init__(
        self,
        events: EventSender,
        figures: Callable[[], Figures],
        is_urgent: Callable[[], bool],
        clock: Clock,
        say: Say,
    ) -> None:
        self._events = events
        self._figures = figures
        self._is_urgent = is_urgent
        self._clock = clock
        self._say = say
        self._allowance = Allowance(TELL_INTERVAL_S, BURST, clock.monotonic())
        self._checkpoint: dict[str, Any] | None = None
        self._newest_at = ""
        self._warnings: list[str] = []
        self._told = Figures()
        self._told_at = clock.monotonic()
        self._retry_at = clock.monotonic()
        self._lock = threading.Lock()

    def saved(self, checkpoint: dict[str, Any]) -> None:
        """Note a checkpoint that lies in the bucket: the data of a `Checkpoint Saved` event."""
        with self._lock:
            # At the end the newest is uploaded first: an older one after it is no news.
            if checkpoint["saved_at"] >= self._newest_at:
                self._newest_at = checkpoint["saved_at"]
                self._checkpoint = checkpoint
            self._tell(is_last=False)

    def warn(self, text: str) -> None:
        """Tell of a trouble, in the log at once and on the timeline as soon as anything gets there."""
        self._say(text)
        with self._lock:
            self._warnings = [*self._warnings, text][-MOST_WAITING:]

    def step(self) -> None:
        """Tell what is due."""
        with self._lock:
            self._tell(is_last=False)

    def flush(self) -> None:
        """Tell what was not told yet."""
        with self._lock:
            self._tell(is_last=True)

    def _tell(self, *, is_last: bool) -> None:
        now = self._clock.monotonic()
        if now < self._retry_at and not is_last:
            return
        if self._checkpoint is not None:
            if is_last or self._warnings or self._is_urgent() or self._allowance.has_one(now):
                self._send(EventKind.CHECKPOINT_SAVED, self._checkpoint)
        elif is_last or self._warnings or (now - self._told_at >= TELL_INTERVAL_S and self._allowance.has_one(now)):
            self._send(EventKind.PROGRESS, None)

    def _send(self, kind: EventKind, checkpoint: dict[str, Any] | None) -> None:
        now = self._clock.monotonic()
        figures = self._figures()
        is_news = figures != self._told
        warnings = tuple(self._warnings[:MOST_WARNINGS])
        progress = figures.data(iso(self._clock.now())) if is_news or warnings else None
        if progress is not None and warnings:
            progress["warnings"] = list(warnings)
        if checkpoint is not None:
            data = checkpoint if progress is None else {**checkpoint, "progress": progress}
        elif progress is not None:
            data = progress
        else:
            self._told_at = now  # looked again after the next interval
            return
        try:
            self._events.send(kind, data)
        except OSError as error:  # the controller reads the manifests themselves when it needs one
            self._retry_at = now + RETRY_S
            self._say(f"the controller could not be told of the progress: {error}")
            return
        self._allowance.spend(now)
        self._warnings = self._warnings[len(warnings) :]
        self._told, self._told_at = figures, now
        if checkpoint is not None:
            self._checkpoint = None
