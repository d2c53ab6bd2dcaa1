"""Tells the controller how the training ended: in the bucket first, then as an event."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runctl.agent.clock import Clock, iso
from runctl.agent.ending import Why
from runctl.agent.events import EventKind, EventSender, canonical
from runctl.agent.object_store import ObjectStore
from runctl.agent.run_log import Say
from runctl.agent.training_process import Exit

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
REPORT_LIMIT_S = 600.0
"""How long the report is tried: the heartbeat's timeout (900 s) makes the controller look by itself after that."""


@dataclass(frozen=True)
class Ended:
    """How the attempt ended on this machine."""

    why: Why
    exit: Exit | None = None
    message: str = ""
    started: bool = True
    last_lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def data(self, clock: Clock) -> dict[str, Any]:
        """The data of `Training Ended`."""
        ended = self.exit or Exit()
        return {
            "why": self.why.value,
            "exit_code": ended.code,
            "signal": ended.signal,
            "message": self.message,
            "last_lines": list(self.last_lines),
            "warnings": list(self.warnings),
            "started": self.started,
            "ended_at": iso(clock.now()),
        }


class Reporter:
    """Writes `final.json` and sends the same signed detail as the event."""

    def __init__(self, events: EventSender, store: ObjectStore, key: str, clock: Clock, say: Say) -> None:
        self._events = events
        self._store = store
        self._key = key
        self._clock = clock
        self._say = say

    def report(self, ended: Ended, wait: Callable[[float], object]) -> bool:
        """Try both until they got there or the time for it is over; says whether the event got there."""
        detail = self._events.detail(EventKind.TRAINING_ENDED, ended.data(self._clock))
        limit = self._clock.monotonic() + REPORT_LIMIT_S
        pause_s = FIRST_PAUSE_S
        is_stored = is_sent = False
        while True:
            problems: list[OSError] = []
            if not is_stored:
                try:
                    self._store.put(self._key, canonical(detail).encode())
                    is_stored = True
                except OSError as error:
                    problems.append(error)
            if not is_sent:
                try:
                    self._events.send_detail(detail)
                    is_sent = True
                except OSError as error:
                    problems.append(error)
            if not problems or self._clock.monotonic() >= limit:
                return is_sent
            self._say(f"the end could not be reported ({problems[0]}); trying again")
            wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
