"""Watch costs: settle machines that have ended, and tell what all open runs cost as metrics with alarms on them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from runctl.controller.ports import Clock, Machines, Metrics, Prices, RunStore
from runctl.controller.settle_attempts import settle_attempts
from runctl.model.attempt import Attempt
from runctl.model.ids import RunId
from runctl.model.names import Metric
from runctl.model.price import PriceStep
from runctl.model.run import PurchaseOption
from runctl.policy import cost as costs


def watch_costs(*, runs: RunStore, machines: Machines, prices: Prices, metrics: Metrics, now: Clock) -> dict[str, Any]:
    """Settle what has ended; add up what the machines of open runs cost, and which runs have cost more than they may.

    A machine without a known price is counted apart and never taken for free. The number of calls grows with pools,
    and with machines that ended since the last look, not with open runs: pages of runs, attempts and machines hold
    hundreds.
    """
    at = now()
    living = frozenset(view.instance_id for view in machines.tagged_machines() if not view.state.is_going)
    unsettled = tuple(runs.unsettled_attempts())
    moved = _moved(unsettled, prices, at)
    open_attempts = settle_attempts(unsettled, living, moved, runs=runs, machines=machines, at=at)
    attempts_of: defaultdict[RunId, list[Attempt]] = defaultdict(list)
    for attempt in open_attempts:
        attempts_of[attempt.run_id].append(with_prices(attempt, moved, prices))
    count, over, unpriced = 0, list[str](), 0
    usd_per_hour = Decimal(0)
    for run in runs.open_runs():
        count += 1
        cost = costs.run_cost(attempts_of[run.run_id], at)
        unpriced += not cost.is_complete
        if run.spec.max_cost_usd is not None and run.settled_usd + cost.accrued_usd > run.spec.max_cost_usd:
            over.append(run.run_id)
        for attempt in attempts_of[run.run_id]:
            if attempt.owns_live_machine:
                usd_per_hour += costs.usd_per_hour(attempt) or Decimal(0)
    metrics.put(Metric.OPEN_RUNS, count)
    metrics.put(Metric.RUNS_OVER_COST, len(over))
    metrics.put(Metric.USD_PER_HOUR, float(usd_per_hour))
    return {
        "open_runs": count,
        "over_cost": over,
        "unpriced": unpriced,
        "settled": len(unsettled) - len(open_attempts),
        "usd_per_hour": str(round(usd_per_hour, 6)),
    }


def in_force(attempts: Sequence[Attempt], prices: Prices, at: datetime) -> tuple[Attempt, ...]:
    """The attempts, those that are not settled with the prices in force since their launch."""
    moved = _moved((attempt for attempt in attempts if attempt.is_unsettled), prices, at)
    return tuple(with_prices(each, moved, prices) if each.is_unsettled else each for each in attempts)


def _moved(
    attempts: Iterable[Attempt], prices: Prices, at: datetime
) -> Mapping[tuple[str, str], tuple[PriceStep, ...]]:
    """Ask how the prices of all spot pools in use moved, once for all of them."""
    spot = [attempt for attempt in attempts if attempt.purchase_option is PurchaseOption.SPOT]
    types = {attempt.instance_type for attempt in spot if attempt.instance_type is not None}
    since = min((attempt.launched_at for attempt in spot if attempt.launched_at is not None), default=at)
    return prices.spot_steps(types, since) if types else {}


def with_prices(attempt: Attempt, moved: Mapping[tuple[str, str], tuple[PriceStep, ...]], prices: Prices) -> Attempt:
    """The attempt with the prices in force since its launch; asks again for one that was not known at the launch."""
    if attempt.purchase_option is PurchaseOption.SPOT:
        steps = moved.get((attempt.instance_type or "", attempt.availability_zone or ""), ())
        return attempt.model_copy(update={"price_steps": steps}) if steps else attempt
    if attempt.price_usd_per_hour is not None or attempt.instance_type is None or attempt.purchase_option is None:
        return attempt
    price = prices.price(attempt.instance_type, attempt.availability_zone or "", attempt.purchase_option)
    return attempt.model_copy(update={"price_usd_per_hour": price and price.usd_per_hour})
