"""What the stack costs while nothing runs."""

from decimal import Decimal
from typing import Any

from runctl.assembly import load_assembly
from runctl.client.idle_cost import IdleCost, idle_costs


def _template(alarms: int, *, memory_mib: int = 512) -> dict[str, Any]:
    resources: dict[str, Any] = {f"Alarm{number}": {"Type": "AWS::CloudWatch::Alarm"} for number in range(alarms)}
    resources["F"] = {"Type": "AWS::Lambda::Function", "Properties": {"MemorySize": memory_mib}}
    parameters = {
        "Dashboard": {"Default": "false"},
        "CostWatchRate": {"Default": "rate(5 minutes)"},
        "ReaperRate": {"Default": "rate(15 minutes)"},
    }
    return {"Resources": resources, "Parameters": parameters}


def _line(costs: tuple[IdleCost, ...], word: str) -> IdleCost:
    (found,) = [each for each in costs if word in each.what]
    return found


def test_alarms_beyond_the_free_ten_are_paid_for() -> None:
    alarms = _line(idle_costs(_template(12), {}), "alarms")

    assert (alarms.usd, alarms.free_tier_usd) == (Decimal("1.20"), Decimal("1.00"))


def test_dashboard_is_paid_for_when_it_is_wanted() -> None:
    without, with_it = idle_costs(_template(1), {}), idle_costs(_template(1), {"Dashboard": "true"})

    assert sum(each.usd for each in with_it) - sum(each.usd for each in without) == 3


def test_rarer_schedules_cost_less() -> None:
    often = _line(idle_costs(_template(1), {}), "firings")
    rarely = _line(idle_costs(_template(1), {"CostWatchRate": "rate(1 hour)", "ReaperRate": "rate(1 day)"}), "firings")

    assert often.what.startswith("11,680 firings")
    assert rarely.what.startswith("760 firings")
    assert rarely.usd < often.usd / 10


def test_delivered_stack_costs_dollars_a_month_and_nothing_in_the_free_tier() -> None:
    costs = idle_costs(load_assembly().template, {})

    assert sum(each.usd for each in costs) < 4
    assert sum(each.usd - each.free_tier_usd for each in costs) == 0
