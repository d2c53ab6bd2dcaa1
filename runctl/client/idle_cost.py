"""What a deployed stack costs while nothing runs, by list prices, out of the template itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from runctl.model.names import Function, Metric, Parameter

SOURCE: Final = "list prices of us-east-1: aws.amazon.com/cloudwatch/pricing, /lambda/pricing, /eventbridge/pricing"

_ALARM_USD: Final = Decimal("0.10")
_METRIC_USD: Final = Decimal("0.30")
_DASHBOARD_USD: Final = Decimal(3)
_PUT_METRIC_USD: Final = Decimal("0.00001")
"""A month each, and a call of PutMetricData (Amazon CloudWatch pricing: standard resolution alarm, first 10,000 custom
metrics, dashboard, API requests)."""

_FREE_ALARMS, _FREE_METRICS, _FREE_PUTS = 10, 10, 1_000_000
"""A month and account, for ever, and three dashboards (Amazon CloudWatch pricing, "Free tier")."""

_REQUEST_USD: Final = Decimal("0.0000002")
_GB_SECOND_USD: Final = Decimal("0.0000133334")
"""AWS Lambda pricing, Arm."""

_SCHEDULE_USD: Final = Decimal("0.000001")
"""An invocation by EventBridge Scheduler (Amazon EventBridge pricing)."""

_MONTH_MINUTES: Final = Decimal(730 * 60)
_FIRING_S: Final = Decimal(1)
"""How long a scheduled function takes with nothing to look at: generous."""

_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_MINUTES_OF_UNIT: Final = {"minute": 1, "hour": 60, "day": 1440}

_METRICS_OF: Final[Mapping[Function, tuple[Metric, ...]]] = {
    Function.WATCH_COSTS: (
        Metric.OPEN_RUNS,
        Metric.RUNS_OVER_COST,
        Metric.USD_PER_HOUR,
        Metric.MONTH_USD,
        Metric.FORECAST_USD,
        Metric.IDLE_MACHINES,
    ),
    Function.REAP_MACHINES: (Metric.STRAY_MACHINES, Metric.STRANDED_RUNS),
}
"""What is put at each firing, a call each."""

_RATE_OF: Final = {
    Function.WATCH_COSTS: Parameter.COST_WATCH_RATE,
    Function.REAP_MACHINES: Parameter.REAPER_RATE,
}


@dataclass(frozen=True)
class IdleCost:
    """One line of what is paid a month."""

    what: str
    usd: Decimal
    free_tier_usd: Decimal
    """The part that AWS's perpetual free tier covers, when nothing else in the account uses it."""


def idle_costs(template: Mapping[str, Any], parameters: Mapping[str, str]) -> tuple[IdleCost, ...]:
    """List what the stack costs a month while nothing runs. `parameters` are those given, defaults left out."""
    defaults = {name: str(each.get("Default", "")) for name, each in template.get("Parameters", {}).items()}
    values = {**defaults, **parameters}
    resources: list[Mapping[str, Any]] = list(template["Resources"].values())
    alarms = sum(each["Type"] == "AWS::CloudWatch::Alarm" for each in resources)
    metrics = sum(len(names) for names in _METRICS_OF.values())
    firings = {function: _a_month(values.get(parameter, "")) for function, parameter in _RATE_OF.items()}
    puts = sum(firings[function] * len(names) for function, names in _METRICS_OF.items())
    lines = [
        IdleCost(f"{alarms} alarms", alarms * _ALARM_USD, min(alarms, _FREE_ALARMS) * _ALARM_USD),
        IdleCost(f"{metrics} metrics", metrics * _METRIC_USD, min(metrics, _FREE_METRICS) * _METRIC_USD),
        IdleCost(f"{puts:,.0f} values of them", puts * _PUT_METRIC_USD, min(puts, _FREE_PUTS) * _PUT_METRIC_USD),
        _functions(template, firings),
    ]
    if values.get(Parameter.DASHBOARD) == "true":
        lines.append(IdleCost("1 dashboard", _DASHBOARD_USD, _DASHBOARD_USD))
    return tuple(lines)


def _functions(template: Mapping[str, Any], firings: Mapping[Function, Decimal]) -> IdleCost:
    """The scheduled functions; Lambda's and Scheduler's free tiers are a hundred times what they use."""
    total = sum(firings.values(), Decimal(0))
    memory_mib = max(
        (
            int(each["Properties"].get("MemorySize", 128))
            for each in template["Resources"].values()
            if each["Type"] == "AWS::Lambda::Function"
        ),
        default=128,
    )
    one = _SCHEDULE_USD + _REQUEST_USD + _FIRING_S * Decimal(memory_mib) / 1024 * _GB_SECOND_USD
    return IdleCost(f"{total:,.0f} firings of the cost watch and the reaper", total * one, total * one)


def _a_month(rate: str) -> Decimal:
    """How often a schedule fires in a month; a cron expression counts as every minute, the most it can be."""
    match = _RATE.fullmatch(rate)
    minutes = int(match[1]) * _MINUTES_OF_UNIT[match[2]] if match else 1
    return _MONTH_MINUTES / minutes
