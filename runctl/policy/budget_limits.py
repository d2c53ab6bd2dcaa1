"""The limits of one run: how much money and time it may use, when it is told, and when it must save and stop.

The bound on what a run may spend beyond `max_cost`: at a steady price nothing, for it is asked to stop while there is
money left to save. When prices rise, what its machines cost in the time until somebody looks again (the scheduled
moment, or one interval of the cost watch) and in the time to save (`save_limit` and `STOP_MARGIN`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import Final

from runctl.model import timing
from runctl.model.attempt import Attempt, FactKind
from runctl.model.run import LimitKind, Run
from runctl.model.status import Reason
from runctl.policy import sentences
from runctl.policy.cost import run_cost, usd, usd_per_hour
from runctl.policy.runtime import runtime_left, trained_for

MAX_COST_OF_ESTIMATE: Final = Decimal("1.2")
"""Default of `max_cost`, as a multiple of the run's estimate: room for other pools and for hand-overs."""

TOLD_AT: Final = Decimal("0.8")
"""Share of money or time at which people are told."""

KEPT_BACK_AT_MOST: Final = Decimal("0.2")
"""Share of `max_cost` that may be kept back for saving; no more than what is left after people were told."""

AGENT_GOES_FIRST: Final = timedelta(seconds=60)
"""The agent's own deadline counts by the machine's clock and needs no call; ours comes this much later."""

_OVERLAP: Final = timing.SPOT_NOTICE + timing.POWER_OFF_DELAY
"""For how long two machines may be paid for at a hand-over."""

_CENT_OF_A_CENT: Final = Decimal("0.0001")
_HOUR: Final = timedelta(hours=1)
_MICROSECONDS_PER_HOUR: Final = Decimal(_HOUR // timedelta(microseconds=1))
_FAR: Final = timedelta(days=300)
"""Later than any run ends: what would be reached after this is not reached."""


def default_max_cost(estimated_usd: Decimal | None) -> Decimal | None:
    """The most that a run may cost which names no limit; None when nobody knows what it costs."""
    if estimated_usd is None or estimated_usd <= 0:
        return None
    return (estimated_usd * MAX_COST_OF_ESTIMATE).quantize(_CENT_OF_A_CENT, ROUND_UP)


@dataclass(frozen=True)
class Reached:
    """A limit that is reached: why the run must save and stop."""

    reason: Reason
    text: str


@dataclass(frozen=True)
class Near:
    """A limit of which four fifths are used."""

    kind: LimitKind
    text: str
    next_step: str
    """The command that lets it go on."""


@dataclass(frozen=True)
class LimitCheck:
    """How a run stands with its limits."""

    accrued_usd: Decimal
    usd_per_hour: Decimal
    """What its live machines cost an hour at the prices in force."""
    reached: Reached | None
    near: tuple[Near, ...]
    """Limits that people have not been told of."""
    look_again_at: datetime | None
    """The next moment at which this may answer something else; None while nothing is used."""


def check(run: Run, attempts: Sequence[Attempt], now: datetime) -> LimitCheck:
    """Tell how an open run stands with its limits."""
    accrued = accrued_usd(run, attempts, now)
    per_hour = sum((usd_per_hour(each) or Decimal(0) for each in attempts if each.owns_live_machine), Decimal(0))
    looks = [*_money_moments(run, accrued, per_hour, now), *_time_moments(run, attempts, now)]
    near = [near for near in (_near_money(run, accrued), _near_time(run, attempts, now)) if near is not None]
    return LimitCheck(
        accrued_usd=accrued,
        usd_per_hour=per_hour,
        reached=_reached(run, attempts, accrued, per_hour, now),
        near=tuple(each for each in near if each.kind not in run.limits_told),
        look_again_at=min((at for at in looks if at > now), default=None),
    )


def accrued_usd(run: Run, attempts: Sequence[Attempt], now: datetime) -> Decimal:
    """What the run has cost. Of its attempts at least those must be given that are not settled."""
    return run.settled_usd + run_cost([each for each in attempts if each.settlement is None], now).accrued_usd


def kept_back_usd(run: Run, usd_per_hour: Decimal) -> Decimal:
    """What is kept of `max_cost` for the time to save."""
    if run.spec.max_cost_usd is None:
        return Decimal(0)
    needed = _saving_usd(usd_per_hour, timedelta(seconds=run.spec.save_limit_s))
    return min(needed, run.spec.max_cost_usd * KEPT_BACK_AT_MOST)


def least_max_cost(usd_per_hour: Decimal, save_limit: timedelta = timing.SAVE_LIMIT) -> Decimal:
    """The smallest `max_cost` that holds all that saving may cost: of a smaller one a fifth is kept back for it, and a
    training that takes its whole time to save spends more."""
    return (_saving_usd(usd_per_hour, save_limit) / KEPT_BACK_AT_MOST).quantize(_CENT_OF_A_CENT, ROUND_UP)


def _saving_usd(usd_per_hour: Decimal, save_limit: timedelta) -> Decimal:
    to_save = save_limit + timing.STOP_MARGIN
    return usd_per_hour * Decimal(to_save // timedelta(microseconds=1)) / _MICROSECONDS_PER_HOUR


def has_money_for_another(run: Run, attempts: Sequence[Attempt], now: datetime) -> bool:
    """Whether what is left of `max_cost` is worth another machine: more than what it needs to save."""
    return _has_left(run, attempts, now, timedelta())


def has_money_for_overlap(run: Run, attempts: Sequence[Attempt], now: datetime) -> bool:
    """Whether another machine may be paid for while one that is being taken back is."""
    return _has_left(run, attempts, now, _OVERLAP)


def _has_left(run: Run, attempts: Sequence[Attempt], now: datetime, overlap: timedelta) -> bool:
    limit = run.spec.max_cost_usd
    if limit is None:
        return True
    last = next((a.price_usd_per_hour for a in reversed(attempts) if a.price_usd_per_hour is not None), Decimal(0))
    hours = Decimal(overlap // timedelta(microseconds=1)) / _MICROSECONDS_PER_HOUR
    needed = min(last * hours + kept_back_usd(run, last), limit * KEPT_BACK_AT_MOST)
    return limit - accrued_usd(run, attempts, now) > needed


def _reached(
    run: Run, attempts: Sequence[Attempt], accrued: Decimal, per_hour: Decimal, now: datetime
) -> Reached | None:
    limit = run.spec.max_cost_usd
    if limit is not None and accrued >= limit - kept_back_usd(run, per_hour):
        return Reached(
            Reason.BUDGET,
            f"It has cost {usd(accrued)} of {usd(limit)}, and what is left is for saving.",
        )
    ends_at = _time_limit_at(run, attempts)
    if ends_at is not None and now >= ends_at:
        limit_text = sentences.duration(timedelta(seconds=run.spec.max_runtime_s))
        return Reached(Reason.TIMEOUT, f"Its time limit of {limit_text} is used up.")
    return None


def _money_moments(run: Run, accrued: Decimal, per_hour: Decimal, now: datetime) -> list[datetime]:
    limit = run.spec.max_cost_usd
    if limit is None or per_hour <= 0:
        return []
    amounts = [limit - kept_back_usd(run, per_hour)]
    if LimitKind.MONEY not in run.limits_told:
        amounts.append(limit * TOLD_AT)
    spans = [_time_for(amount - accrued, per_hour) for amount in amounts if amount > accrued]
    return [now + span for span in spans if span < _FAR]


def _time_for(amount_usd: Decimal, per_hour: Decimal) -> timedelta:
    hours = amount_usd / per_hour
    return _FAR if hours > _FAR // _HOUR else timedelta(seconds=float(hours * 3_600))


def _time_moments(run: Run, attempts: Sequence[Attempt], now: datetime) -> list[datetime]:
    ends_at = _time_limit_at(run, attempts)
    if ends_at is None:
        return []
    moments = [ends_at]
    told_at = _told_of_time_at(run, attempts, now)
    if told_at is not None and LimitKind.TIME not in run.limits_told:
        moments.append(told_at)
    return moments


def _current(run: Run, attempts: Sequence[Attempt]) -> Attempt | None:
    """The current attempt, while its machine lives."""
    return next((a for a in attempts if a.number == run.attempt and a.owns_live_machine and a.reason is None), None)


def _time_limit_at(run: Run, attempts: Sequence[Attempt]) -> datetime | None:
    """When the training's time is over; before it began, when setting up has taken too long as well."""
    current = _current(run, attempts)
    if current is None or FactKind.ENDED in current.facts:
        return None
    earlier = [attempt for attempt in attempts if attempt.number < current.number]
    started = current.facts.get(FactKind.STARTED)
    if started is not None:
        return started.at + runtime_left(run.spec, earlier, started.at) + AGENT_GOES_FIRST
    begun = current.launched_at or current.created_at
    left = runtime_left(run.spec, earlier, begun)
    return begun + left + timing.SETUP_ALLOWANCE + timedelta(seconds=run.spec.save_limit_s)


def _told_of_time_at(run: Run, attempts: Sequence[Attempt], now: datetime) -> datetime | None:
    current = _current(run, attempts)
    if current is None or FactKind.ENDED in current.facts:
        return None
    used = sum((trained_for(attempt, now) for attempt in attempts), timedelta())
    left = timedelta(seconds=float(run.spec.max_runtime_s * TOLD_AT)) - used
    # Before the training has begun this is too early, never too late: then it is looked at again.
    return now + max(timedelta(), left)


def _near_money(run: Run, accrued: Decimal) -> Near | None:
    limit = run.spec.max_cost_usd
    if limit is None or accrued < limit * TOLD_AT:
        return None
    more = max(Decimal(1), (limit / 2).quantize(Decimal(1), ROUND_UP))
    return Near(
        LimitKind.MONEY,
        f"{run.name} has cost {usd(accrued)} of the {usd(limit)} that it may cost. Then it saves and stops.",
        f"runctl extend {run.run_id} --max-cost +{more}",
    )


def _near_time(run: Run, attempts: Sequence[Attempt], now: datetime) -> Near | None:
    limit = timedelta(seconds=run.spec.max_runtime_s)
    used = sum((trained_for(attempt, now) for attempt in attempts), timedelta())
    current = _current(run, attempts)
    if current is None or FactKind.ENDED in current.facts or used < limit * float(TOLD_AT):
        return None
    more = max(1, round(limit / 2 / _HOUR))
    return Near(
        LimitKind.TIME,
        f"{run.name} has trained for {sentences.duration(used)} of the {sentences.duration(limit)} that it may. "
        "Then it saves and stops.",
        f"runctl extend {run.run_id} --max-runtime +{more}h",
    )
