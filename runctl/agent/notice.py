"""Hears that EC2 is taking the machine back: from IMDS, polled on the machine itself, and from the controller."""

import json
from datetime import UTC, datetime
from typing import Protocol

from runctl.agent.clock import Clock
from runctl.agent.ending import Notice
from runctl.agent.run_log import Say

POLL_S = 1.0
"""EC2 User Guide, "Spot Instance interruption notices", advises every five seconds; asking costs nothing."""

USUAL_NOTICE_S = 120.0
"""What is assumed when the controller tells of a warning that IMDS does not show (yet)."""

LONGEST_NOTICE_S = 900.0
LATE_S = 60.0
"""Between these a notice's time is believed."""

INSTANCE_ACTION = "spot/instance-action"
REBALANCE = "events/recommendations/rebalance"


class Metadata(Protocol):
    """IMDS. Raises OSError when it is not there."""

    def get(self, path: str) -> str | None:
        """Read an item; None when there is none."""
        ...


class NoticeWatch:
    """Keeps the first notice, and whether a rebalance recommendation came."""

    def __init__(self, metadata: Metadata, clock: Clock, say: Say) -> None:
        self._metadata = metadata
        self._clock = clock
        self._say = say
        self._failing = False
        self.notice: Notice | None = None
        self.rebalance = False
        self.is_replacement_ready = False
        """Whether another machine is prepared and waits for this one to leave (runctl/agent/fence.py)."""

    def step(self) -> None:
        """Ask IMDS."""
        if self.notice is not None:
            return
        try:
            action = self._metadata.get(INSTANCE_ACTION)
            recommendation = self._metadata.get(REBALANCE) if not self.rebalance else None
        except OSError as error:
            if not self._failing:
                self._say(f"the instance metadata cannot be read: {error}")
            self._failing = True
            return
        self._failing = False
        if action is not None:
            self._note(seconds_left(action, self._clock.now()))
        elif recommendation is not None:
            self.rebalance = True
            self._say("EC2 recommends to move away from this machine: its risk of interruption is elevated")

    def told(self) -> None:
        """The controller says that there is something to hear; IMDS has the time, and may lag behind the event."""
        self.step()
        if self.notice is None and not self.rebalance:
            self._note(USUAL_NOTICE_S)

    def _note(self, left_s: float) -> None:
        now = self._clock.monotonic()
        self.notice = Notice(now, now + left_s)
        self._say(f"EC2 takes this machine back in {left_s:.0f} s")


def seconds_left(action: str, now: datetime) -> float:
    """Read `{"action": "terminate", "time": "2026-01-31T09:30:00Z"}`; without a readable time the usual is assumed."""
    try:
        at = datetime.fromisoformat(json.loads(action)["time"]).astimezone(UTC)
    except (ValueError, KeyError, TypeError):
        return USUAL_NOTICE_S
    left_s = (at - now).total_seconds()
    # A clock that is wrong by hours, which nobody could correct, must not end a training at once, nor too late.
    return max(0.0, left_s) if -LATE_S <= left_s <= LONGEST_NOTICE_S else USUAL_NOTICE_S
