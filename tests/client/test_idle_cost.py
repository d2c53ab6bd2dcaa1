"""What the stack costs while nothing runs."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runctl.assembly import load_assembly
from runctl.client.idle_cost import PUT_WHILE_IDLE, IdleCost, idle_costs
from runctl.model.names import Function
from tests.fakes.world import World

REPOSITORY = Path(__file__).parents[2]

SCHEDULED = (
    ("CostWatchRate", Function.WATCH_COSTS, "rate(5 minutes)"),
    ("ReaperRate", Function.REAP_MACHINES, "rate(15 minutes)"),
    ("WeeklyDigest", Function.SEND_DIGEST, "cron(15 7 ? * MON *)"),
)


def _template(alarms: int, *, memory_mib: int = 512) -> dict[str, Any]:
    resources: dict[str, Any] = {f"Alarm{number}": {"Type": "AWS::CloudWatch::Alarm"} for number in range(alarms)}
    parameters = {"Dashboard": {"Default": "false"}}
    for name, service, rate in SCHEDULED:
        properties = {"MemorySize": memory_mib, "Environment": {"Variables": {"POWERTOOLS_SERVICE_NAME": service}}}
        resources[f"{name}Function"] = {"Type": "AWS::Lambda::Function", "Properties": properties}
        target = {"Arn": {"Fn::GetAtt": [f"{name}Function", "Arn"]}}
        schedule = {"ScheduleExpression": {"Ref": name}, "Target": target}
        resources[f"{name}Schedule"] = {"Type": "AWS::Scheduler::Schedule", "Properties": schedule}
        parameters[name] = {"Default": rate}
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

    assert often.what.startswith("11,684 firings")
    assert rarely.what.startswith("765 firings")
    assert rarely.usd < often.usd / 10


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("rate(1 minute)", 43_800),
        ("cron(0 7 * * ? *)", 30),
        ("cron(0 7,19 * * ? *)", 61),
        ("cron(0 7 1 * ? *)", 1),
        ("cron(0 7 ? * MON,THU *)", 9),
        ("cron(0/5 * * * ? *)", 43_800),
        ("every now and then", 43_800),
    ],
)
def test_a_schedule_counts_as_often_as_it_fires_and_an_unknown_one_as_often_as_any_can(
    expression: str, times: int
) -> None:
    never = {name: "rate(36500 days)" for name, _, _ in SCHEDULED}

    firings = _line(idle_costs(_template(1), {**never, "WeeklyDigest": expression}), "firings")

    assert firings.what == f"{times:,} firings of schedules"


def test_what_is_put_while_nothing_runs_is_what_is_counted() -> None:
    world = World()

    world.watch_costs()
    world.reap_machines()

    assert set(world.metrics.values) == {metric for metrics in PUT_WHILE_IDLE.values() for metric in metrics}


def test_delivered_stack_costs_two_dollars_a_month_at_most_and_nothing_in_the_free_tier() -> None:
    costs = idle_costs(load_assembly().template, {})

    assert _line(costs, "calls").what.startswith("8,760 calls")
    assert _line(costs, "firings").what.startswith("11,715 firings")
    assert sum(each.usd for each in costs) < 2
    assert sum(each.usd - each.free_tier_usd for each in costs) == 0


def test_documented_figures_are_those_of_the_delivered_stack() -> None:
    documented = (REPOSITORY / "docs" / "cost-model.md").read_text()
    costs = idle_costs(load_assembly().template, {})

    for each in costs:
        assert f"| {each.what} | ${each.usd:.2f} | ${each.usd - each.free_tier_usd:.2f} |" in documented
    assert f"| in all | ${sum(each.usd for each in costs):.2f} |" in documented
