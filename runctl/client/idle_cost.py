"""What a deployed stack costs while nothing runs, by list prices, out of the template itself."""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from runctl.assembly import load_assembly
from runctl.model.names import Function, Metric, Parameter
from runctl.policy import rates

SOURCE: Final = "list prices of us-east-1: aws.amazon.com/cloudwatch/pricing, /lambda/pricing, /eventbridge/pricing"

_MONTH_DAYS: Final = Decimal(rates.MONTH_HOURS) / 24
_FIRING_S: Final = Decimal(1)
"""How long a scheduled function takes with nothing to look at: generous."""

_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON: Final = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_LIST: Final = re.compile(r"\w+(,\w+)*")
_MINUTES_OF_UNIT: Final = {"minute": 1, "hour": 60, "day": 1440}

PUT_WHILE_IDLE: Final[Mapping[Function, tuple[Metric, ...]]] = {Function.WATCH_COSTS: (Metric.MONTH_USD,)}
"""What is put at each firing while nothing runs, in one call. All else is put while it is not zero."""


@dataclass(frozen=True)
class IdleCost:
    """One line of what is paid a month."""

    what: str
    usd: Decimal
    free_tier_usd: Decimal
    """The part that AWS's perpetual free tier covers, when nothing else in the account uses it."""


@dataclass(frozen=True)
class _Firings:
    """How often a schedule of the template fires in a month, and what it calls."""

    function: str
    """`service` of the function."""
    times: Decimal
    memory_mib: int


def idle_costs(template: Mapping[str, Any], parameters: Mapping[str, str]) -> tuple[IdleCost, ...]:
    """List what the stack costs a month while nothing runs. `parameters` are those given, defaults left out."""
    defaults = {name: str(each.get("Default", "")) for name, each in template.get("Parameters", {}).items()}
    values = {**defaults, **parameters}
    alarms = sum(each["Type"] == "AWS::CloudWatch::Alarm" for each in template["Resources"].values())
    firings = tuple(_firings(template, values))
    puts = sum((each.times for each in firings if each.function in PUT_WHILE_IDLE), Decimal(0))
    metrics = sum(len(names) for names in PUT_WHILE_IDLE.values())
    lines = [
        _line(f"{alarms} alarms", alarms, rates.ALARM_USD_PER_MONTH, rates.FREE_ALARMS),
        _line(f"{metrics} metric", metrics, rates.METRIC_USD_PER_MONTH, rates.FREE_METRICS),
        _line(f"{puts:,.0f} calls that put it", puts, rates.PUT_METRIC_USD, rates.FREE_CLOUDWATCH_CALLS),
        _functions(firings),
    ]
    if values.get(Parameter.DASHBOARD) == "true":
        lines.append(_line("1 dashboard", 1, rates.DASHBOARD_USD_PER_MONTH, rates.FREE_DASHBOARDS))
    return tuple(lines)


def _line(what: str, count: Decimal | int, usd: Decimal, free: int) -> IdleCost:
    return IdleCost(what, count * usd, min(count, free) * usd)


def _functions(firings: tuple[_Firings, ...]) -> IdleCost:
    """The scheduled functions; Lambda's and Scheduler's free tiers are a hundred times what they use."""
    total = sum((each.times for each in firings), Decimal(0))
    usd = sum((each.times * _usd_of_one(each) for each in firings), Decimal(0))
    return IdleCost(f"{total:,.0f} firings of schedules", usd, usd)


def _usd_of_one(firings: _Firings) -> Decimal:
    gb_seconds = _FIRING_S * firings.memory_mib / 1024
    return rates.SCHEDULE_USD + rates.LAMBDA_REQUEST_USD + gb_seconds * rates.LAMBDA_GB_SECOND_USD


def _firings(template: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[_Firings]:
    """Every schedule of the template, whatever it calls."""
    resources: Mapping[str, Any] = template["Resources"]
    for each in resources.values():
        if each["Type"] != "AWS::Scheduler::Schedule":
            continue
        asked = each["Properties"]["ScheduleExpression"]
        expression = asked if isinstance(asked, str) else values.get(str(asked["Ref"]), "")
        properties: Mapping[str, Any] = resources[each["Properties"]["Target"]["Arn"]["Fn::GetAtt"][0]]["Properties"]
        variables: Mapping[str, Any] = properties.get("Environment", {}).get("Variables", {})
        yield _Firings(
            function=str(variables.get("POWERTOOLS_SERVICE_NAME", "")),
            times=_a_month(expression),
            memory_mib=int(properties.get("MemorySize", 128)),
        )


def _a_month(expression: str) -> Decimal:
    """How often a schedule fires in a month. What is no list of a cron expression, a step or a range, counts as every
    one, the most that it can be."""
    if rate := _RATE.fullmatch(expression):
        return Decimal(rates.MONTH_HOURS * 60) / (int(rate[1]) * _MINUTES_OF_UNIT[rate[2]])
    cron = _CRON.fullmatch(expression)
    minute, hour, day, month, weekday = cron.groups()[:5] if cron else ("*",) * 5
    days = _MONTH_DAYS * _share(month, 12) * _share(weekday, 7)
    if _LIST.fullmatch(day):
        days = days * min(Decimal(1), len(day.split(",")) / _MONTH_DAYS)
    return days * 24 * _share(hour, 24) * 60 * _share(minute, 60)


def _share(field: str, of: int) -> Decimal:
    return Decimal(len(field.split(","))) / of if _LIST.fullmatch(field) else Decimal(1)


def _print() -> None:
    """Print the bill of the delivered template with its defaults."""
    costs = idle_costs(load_assembly().template, {})
    for each in costs:
        sys.stdout.write(
            f"{each.what:32} ${each.usd:.2f}  inside the allowances ${each.usd - each.free_tier_usd:.2f}\n"
        )
    total = sum((each.usd for each in costs), Decimal(0))
    inside = total - sum((each.free_tier_usd for each in costs), Decimal(0))
    sys.stdout.write(f"{'in all':32} ${total:.2f}  inside the allowances ${inside:.2f}\n")


if __name__ == "__main__":
    _print()
