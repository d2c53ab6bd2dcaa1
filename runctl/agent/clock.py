"""Time as the agent sees it: passed in, so that tests need not wait."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one for people and one for durations."""

    def now(self) -> datetime:
        """The time of day, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never jumps, whatever the time of day is corrected to."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """The time of day, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some moment; never jumps."""
        return time.monotonic()


class CorrectedClock(SystemClock):
    """The machine's clocks, with the time of day set right by somebody who knows it."""

    def __init__(self, error_s: Callable[[], float]) -> None:
        """`error_s`: how much the machine's time of day is ahead."""
        self._error_s = error_s

    def now(self) -> datetime:
        """The time of day, aware, UTC."""
        return super().now() - timedelta(seconds=self._error_s())


def iso(moment: datetime) -> str:
    """Write a time as `runctl.model.base.iso` does: `2026-01-31T09:30:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def file_stamp(moment: datetime) -> str:
    """Write a time for a file name: `20260131T093000Z`."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
