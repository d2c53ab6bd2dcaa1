"""What a run has cost until a time, so that its cost can be told apart by day, week and month."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from runctl.model.attempt import Attempt
from runctl.model.run import RunSpec
from runctl.policy.budget_ledger import CostUntil
from runctl.policy.cost import attempt_cost, use_of
from runctl.policy.meter import charge_of, parts

_SECOND = timedelta(seconds=1)


def cost_until(spec: RunSpec, attempts: Iterable[Attempt], now: datetime) -> CostUntil:
    """Tell what the run had cost at a time until now, as its cost is known now.

    Within an attempt the cost is taken to grow evenly, between the stops and starts of a machine that is kept. One
    whose price nobody knows is not free: it is booked at what the run's own limit allows for an hour.
    """
    spans = [span for attempt in attempts for span in _span(spec, attempt, now)]

    def until(at: datetime) -> Decimal:
        return sum((_part(usd, begin, end, at) for usd, begin, end in spans), Decimal(0))

    return until


def _span(spec: RunSpec, attempt: Attempt, now: datetime) -> list[tuple[Decimal, datetime, datetime]]:
    if attempt.instance_id is None or attempt.launched_at is None:
        return []
    use = use_of(attempt)
    if use is not None and use.pauses and use.steps:
        return [(charge_of(use, part).usd, part.begin, part.end) for part in parts(use, now)]
    end = max(attempt.launched_at, attempt.gone_at or now)
    usd = attempt_cost(attempt, now)
    if usd is None:
        limit = spec.max_cost_usd or Decimal(0)
        usd = min(limit, limit * Decimal((end - attempt.launched_at) // _SECOND) / spec.max_runtime_s)
    return [(usd, attempt.launched_at, end)]


def _part(usd: Decimal, begin: datetime, end: datetime, at: datetime) -> Decimal:
    if at >= end:
        return usd
    if at <= begin:
        return Decimal(0)
    return usd * Decimal((at - begin) // _SECOND) / Decimal(max(1, (end - begin) // _SECOND))
