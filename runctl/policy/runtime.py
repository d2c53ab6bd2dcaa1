"""How much of a run's `max_runtime` is left: only the time in which its training ran counts."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from runctl.model.attempt import Attempt, FactKind
from runctl.model.run import RunSpec

WORTHWHILE: Final = timedelta(seconds=5)
"""With less than this left no other machine is launched: it would boot for longer than it trains."""


def trained_for(attempt: Attempt, now: datetime) -> timedelta:
    """How long an attempt's training has run, from its start to the first word of its end."""
    started = attempt.facts.get(FactKind.STARTED)
    if started is None:
        return timedelta()
    ends = [attempt.facts[kind].at for kind in (FactKind.ENDED, FactKind.GONE) if kind in attempt.facts]
    if attempt.ended_at is not None:
        ends.append(attempt.ended_at)
    return max(timedelta(), min(ends, default=now) - started.at)


def runtime_left(spec: RunSpec, attempts: Iterable[Attempt], now: datetime) -> timedelta:
    """What is left for another attempt; never negative."""
    used = sum((trained_for(attempt, now) for attempt in attempts), timedelta())
    return max(timedelta(), timedelta(seconds=spec.max_runtime_s) - used)
