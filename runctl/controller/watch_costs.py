"""Watch costs: what all open runs cost, as metrics with alarms on them."""

from typing import Any

from runctl.controller.ports import Clock, Metrics, Prices, RunStore


def watch_costs(*, runs: RunStore, prices: Prices, metrics: Metrics, now: Clock) -> dict[str, Any]:
    """Watch costs: what all open runs cost, as metrics with alarms on them."""
    raise NotImplementedError
