"""How long to wait for a machine when AWS has none, and when to give up."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from runctl.model import timing
from runctl.model.run import CapacityWait

_LAST_TRY_MARGIN: Final = timedelta(seconds=1)
"""A wait is whole seconds, at least one; less time than this before the deadline is no time."""

QUOTA_WAIT: Final = timedelta(seconds=30) + timing.SPOT_NOTICE
"""How long a machine of one's own that is going may hold its quota: its notice, and the shutdown after it."""


@dataclass(frozen=True)
class WaitForCapacity:
    """Wait, then try again."""

    delay: timedelta
    wait: CapacityWait
    tell: bool
    """Whether the wait has become long enough that people should be told."""


def backoff(tries: int) -> timedelta:
    """The pause after this many refused tries: 15 s, 30 s, 1 min, … 15 min."""
    doubled = timing.CAPACITY_BACKOFF_START * 2 ** min(max(tries, 1) - 1, 16)
    return min(doubled, timing.CAPACITY_BACKOFF_MAX)


def next_try(
    wait: CapacityWait | None, refusals: tuple[str, ...], timeout: timedelta, now: datetime
) -> WaitForCapacity | None:
    """Plan the next try after a refusal; None when the deadline is reached. The last try is made at the deadline."""
    since = now if wait is None else wait.waiting_since
    tries = 1 if wait is None else wait.tries + 1
    left = since + timeout - now
    if left < _LAST_TRY_MARGIN:
        return None
    delay = whole_seconds(min(backoff(tries), left))
    tell = is_to_be_told(wait, now, delay)
    planned = CapacityWait(
        waiting_since=since,
        tries=tries,
        next_try_at=now + delay,
        told=tell or (wait is not None and wait.told),
        waited_for_quota=wait is not None and wait.waited_for_quota,
        refusals=refusals,
    )
    return WaitForCapacity(delay, planned, tell)


def no_later_than(planned: WaitForCapacity, limit: datetime, now: datetime) -> WaitForCapacity:
    """The same plan with its next try at `limit`, or at once when that is over."""
    delay = whole_seconds(max(limit - now, timedelta()))
    wait = planned.wait.model_copy(update={"next_try_at": now + delay})
    return WaitForCapacity(delay, wait, planned.tell)


def wait_for_quota(wait: CapacityWait | None, refusals: tuple[str, ...], now: datetime) -> WaitForCapacity:
    """Plan the one wait for a machine of one's own to free its quota."""
    planned = CapacityWait(
        waiting_since=now if wait is None else wait.waiting_since,
        tries=1 if wait is None else wait.tries + 1,
        next_try_at=now + QUOTA_WAIT,
        told=wait is not None and wait.told,
        waited_for_quota=True,
        refusals=refusals,
    )
    return WaitForCapacity(QUOTA_WAIT, planned, tell=False)


def is_to_be_told(wait: CapacityWait | None, now: datetime, delay: timedelta) -> bool:
    """Whether people are to be told now: once in a row of waits, at the beginning of the wait in which the time for it
    comes, or later when that one was missed."""
    if wait is None:
        return delay >= timing.CAPACITY_TOLD_AFTER
    return not wait.told and wait.waiting_since + timing.CAPACITY_TOLD_AFTER <= now + delay


def whole_seconds(span: timedelta) -> timedelta:
    """Round up to whole seconds, at least one: `SecondsPath` takes no fraction."""
    return timedelta(seconds=max(1, -(-span // timedelta(seconds=1))))
