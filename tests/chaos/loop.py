"""Virtual time: what is due happens in order, and a call that takes a while lets other things happen meanwhile."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.fakes.clock import START


@dataclass(order=True, slots=True)
class Timer:
    """Something that will happen, unless it is called off."""

    at: float
    number: int
    act: Callable[[], object] | None = field(compare=False)

    def cancel(self) -> None:
        """Call it off; it may have happened already."""
        self.act = None


class Loop:
    """Seconds since START. `now` never goes back.

    `pass_time` may be called from within something that is happening: the rest of the world goes on, and the caller
    finds it changed. That is how two functions that run at once see each other's writes.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[Timer] = []
        self._count = 0

    def at(self, when: float, act: Callable[[], object]) -> Timer:
        """Let something happen at a time, or at once when that is past."""
        self._count += 1
        timer = Timer(max(when, self.now), self._count, act)
        heapq.heappush(self._timers, timer)
        return timer

    def after(self, seconds: float, act: Callable[[], object]) -> Timer:
        """Let something happen this many seconds from now."""
        return self.at(self.now + seconds, act)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and what is due meanwhile happen. It may take longer: what happens may take time itself."""
        until = self.now + seconds
        while (due := self._next()) is not None and due.at <= until:
            self.step()
        self.now = max(self.now, until)

    def step(self) -> bool:
        """Let the next thing happen; False when there is none."""
        timer = self._next()
        if timer is None or timer.act is None:
            return False
        heapq.heappop(self._timers)
        act, timer.act = timer.act, None
        self.now = max(self.now, timer.at)
        act()
        return True

    def _next(self) -> Timer | None:
        """Find what happens next, past all that was called off."""
        while self._timers and self._timers[0].act is None:
            heapq.heappop(self._timers)
        return self._timers[0] if self._timers else None

    def time(self, skew_s: float = 0.0) -> datetime:
        """Tell the time, as a clock that is wrong by `skew_s` shows it."""
        return START + timedelta(seconds=self.now + skew_s)

    def seconds(self, moment: datetime) -> float:
        """Turn a time into seconds of this loop."""
        return (moment - START).total_seconds()
