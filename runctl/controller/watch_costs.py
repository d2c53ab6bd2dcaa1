"""Watch costs: what all open runs cost, as metrics with alarms on them."""

from decimal import Decimal
from typing import Any

from runctl.controller.ports import Clock, Metrics, Prices, RunStore
from runctl.model.attempt import Attempt
from runctl.model.names import Metric
from runctl.policy.cost import PUBLIC_ADDRESS_USD_PER_HOUR, run_cost


def watch_costs(*, runs: RunStore, prices: Prices, metrics: Metrics, now: Clock) -> dict[str, Any]:
    """Add up what the machines of open runs cost an hour, and which runs have cost more than they may.

    A machine without a known price is counted apart and never taken for free.
    """
    at = now()
    count, over, unpriced = 0, list[str](), 0
    usd_per_hour = Decimal(0)
    for run in runs.open_runs():
        count += 1
        attempts = tuple(_priced(attempt, prices) for attempt in runs.attempts(run.run_id))
        cost = run_cost(attempts, at)
        unpriced += not cost.is_complete
        if run.spec.max_cost_usd is not None and cost.accrued_usd > run.spec.max_cost_usd:
            over.append(run.run_id)
        for attempt in attempts:
            if attempt.owns_live_machine and attempt.price_usd_per_hour is not None:
                usd_per_hour += attempt.price_usd_per_hour + PUBLIC_ADDRESS_USD_PER_HOUR
    metrics.put(Metric.OPEN_RUNS, count)
    metrics.put(Metric.RUNS_OVER_COST, len(over))
    metrics.put(Metric.USD_PER_HOUR, float(usd_per_hour))
    return {"open_runs": count, "over_cost": over, "unpriced": unpriced, "usd_per_hour": str(usd_per_hour)}


def _priced(attempt: Attempt, prices: Prices) -> Attempt:
    """Ask again for a price that was not known at the launch."""
    known = attempt.price_usd_per_hour is not None
    if known or attempt.instance_type is None or attempt.purchase_option is None:
        return attempt
    price = prices.usd_per_hour(attempt.instance_type, attempt.availability_zone or "", attempt.purchase_option)
    return attempt.model_copy(update={"price_usd_per_hour": price})
