"""Waiting for a machine: the pauses, the deadline, when people are told."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runctl.model import timing
from runctl.model.run import CapacityWait
from runctl.policy.capacity import QUOTA_WAIT, backoff, is_to_be_told, next_try, wait_for_quota, whole_seconds
from tests.factories import after

S = timedelta(seconds=1)


def test_pauses_double_from_15_seconds_to_15_minutes() -> None:
    pauses = [backoff(tries) / S for tries in range(1, 10)]

    assert pauses == [15, 30, 60, 120, 240, 480, 900, 900, 900]


def test_a_pause_is_never_longer_than_the_longest_however_many_tries() -> None:
    assert backoff(10_000) == timing.CAPACITY_BACKOFF_MAX


def all_tries(timeout: timedelta, each_takes: timedelta) -> tuple[list[datetime], list[bool]]:
    """Refuse every try until the deadline; answers when tries were made, and which waits told people."""
    now, wait, tried, told = after(0), None, [after(0)], list[bool]()
    while True:
        planned = next_try(wait, (), timeout, now + each_takes)
        if planned is None:
            return tried, told
        assert planned.delay >= S and planned.delay % S == timedelta()
        now, wait = now + each_takes + planned.delay, planned.wait
        tried.append(now)
        told.append(planned.tell)


@given(timeout_s=st.integers(0, 7 * 86_400), takes_ms=st.integers(0, 5_000))
def test_tries_end_at_the_deadline_and_not_before(timeout_s: int, takes_ms: int) -> None:
    takes = timedelta(milliseconds=takes_ms)
    timeout = timedelta(seconds=timeout_s)

    tried, _ = all_tries(timeout, takes)

    since = tried[0] + takes
    assert tried[-1] <= since + timeout + S
    assert tried[-1] + takes > since + timeout - S
    assert len(tried) <= 10 + timeout / timing.CAPACITY_BACKOFF_MAX


def test_people_are_told_once_when_the_wait_passes_15_minutes() -> None:
    _, told = all_tries(timing.CAPACITY_TIMEOUT, S)
    _, short = all_tries(timedelta(minutes=10), S)

    assert told.count(True) == 1
    assert short.count(True) == 0


def test_the_time_to_tell_is_when_the_fifteenth_minute_falls_into_the_wait() -> None:
    wait = CapacityWait(waiting_since=after(0), tries=6)

    assert not is_to_be_told(wait, after(100), 120 * S)
    assert is_to_be_told(wait, after(800), 120 * S)
    assert is_to_be_told(wait, after(2_000), 120 * S)
    assert not is_to_be_told(wait.model_copy(update={"told": True}), after(2_000), 120 * S)
    assert not is_to_be_told(None, after(0), 15 * S)


def test_the_wait_for_a_quota_outlasts_the_notice_and_is_remembered() -> None:
    planned = wait_for_quota(None, ("full",), after(5))

    assert planned.delay == QUOTA_WAIT > timing.SPOT_NOTICE
    assert planned.wait == CapacityWait(
        waiting_since=after(5), tries=1, next_try_at=after(5) + QUOTA_WAIT, waited_for_quota=True, refusals=("full",)
    )


def test_a_fraction_of_a_second_is_a_whole_one() -> None:
    assert whole_seconds(timedelta(milliseconds=1)) == S
    assert whole_seconds(timedelta(0)) == S
    assert whole_seconds(1.2 * S) == 2 * S
