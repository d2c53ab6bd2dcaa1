"""What was spent in some days, added up and told: the ledger's lines and what the cost watch saw last."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from statistics import mean, median
from typing import Final

from runctl.model.figures import Figures
from runctl.model.price import Spending
from runctl.policy.cost import usd

MOST_EXPENSIVE: Final = 5
ODD_RUN: Final = 3
"""Times the median of the runs: then a run is named among the anomalies, when there are ODD_OF runs at least."""
ODD_DAY: Final = 2
"""Times the mean of the other days."""
ODD_OF: Final = 5
ODD_RECOMPUTED: Final = Decimal("0.2")
"""Share of the spending."""
WORTH_TELLING: Final = Decimal(1)
"""USD below which nothing is called odd."""


class GroupBy(StrEnum):
    """What spending is added up by."""

    PROJECT = "project"
    USER = "user"
    TYPE = "type"
    RUN = "run"


@dataclass
class Sums:
    """Spending added up."""

    usd: Decimal = Decimal(0)
    on_demand_usd: Decimal = Decimal(0)
    recomputed_usd: Decimal = Decimal(0)
    machines: int = 0
    runs: set[str] = field(default_factory=set[str])
    bundled_price: bool = False

    @property
    def saved_usd(self) -> Decimal:
        """Against on-demand; never negative."""
        return max(Decimal(0), self.on_demand_usd - self.usd)

    def add(self, line: Spending) -> None:
        """Count a settled machine."""
        self.usd += line.usd
        self.on_demand_usd += line.on_demand_usd
        self.recomputed_usd += line.recomputed_usd
        self.machines += 1
        self.runs.add(line.run_id)
        self.bundled_price = self.bundled_price or line.bundled_price


@dataclass(frozen=True)
class Report:
    """What was spent from one day to another."""

    first: date
    last: date
    total: Sums
    by_project: dict[str, Sums]
    by_user: dict[str, Sums]
    by_type: dict[str, Sums]
    by_run: dict[str, Sums]
    names: dict[str, str]
    anomalies: tuple[str, ...]
    now: Figures | None
    """What runs at this moment is not in the sums until its machines have ended."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was spent and nothing runs."""
        return not self.total.machines and (self.now is None or not self.now.runs)

    def groups(self, by: GroupBy) -> dict[str, Sums]:
        """The sums of one kind, the most expensive first."""
        return {
            GroupBy.PROJECT: self.by_project,
            GroupBy.USER: self.by_user,
            GroupBy.TYPE: self.by_type,
            GroupBy.RUN: self.by_run,
        }[by]


def report(lines: Iterable[Spending], first: date, last: date, now: Figures | None) -> Report:
    """Add up the ledger's lines of some days."""
    known = tuple(lines)
    total = Sums()
    for line in known:
        total.add(line)
    by_run = _by(known, [line.run_id for line in known])
    return Report(
        first=first,
        last=last,
        total=total,
        by_project=_by(known, [line.project for line in known]),
        by_user=_by(known, [line.user for line in known]),
        by_type=_by(known, [f"{line.instance_type} {line.purchase_option}" for line in known]),
        by_run=by_run,
        names={line.run_id: line.name for line in known},
        anomalies=_anomalies(known, (first, last), by_run, total, now),
        now=now,
    )


def _by(lines: Sequence[Spending], names: Sequence[str]) -> dict[str, Sums]:
    groups: defaultdict[str, Sums] = defaultdict(Sums)
    for line, name in zip(lines, names, strict=True):
        groups[name].add(line)
    return dict(sorted(groups.items(), key=lambda group: (-group[1].usd, group[0])))


def _anomalies(
    lines: Sequence[Spending], days: tuple[date, date], by_run: dict[str, Sums], total: Sums, now: Figures | None
) -> tuple[str, ...]:
    first, last = days
    found: list[str] = []
    if len(by_run) >= ODD_OF:
        middle = median(sums.usd for sums in by_run.values())
        for run_id, sums in by_run.items():
            if sums.usd > max(WORTH_TELLING, ODD_RUN * middle):
                found.append(f"Run {run_id} cost {usd(sums.usd)}; half of the runs cost {usd(middle)} or less.")
    by_day: defaultdict[date, Decimal] = defaultdict(Decimal)
    for line in lines:
        by_day[line.ended_at.date()] += line.usd
    by_day = defaultdict(Decimal, {day: spent for day, spent in by_day.items() if first <= day <= last})
    if len(by_day) >= ODD_OF:
        for day, spent in sorted(by_day.items()):
            others = mean(amount for other, amount in by_day.items() if other != day)
            if spent > max(WORTH_TELLING, ODD_DAY * others):
                found.append(f"On {day} {usd(spent)} was spent; {usd(others)} a day on the others with machines.")
    if total.recomputed_usd > max(WORTH_TELLING, total.usd * ODD_RECOMPUTED):
        found.append(
            f"{usd(total.recomputed_usd)} was paid for work done again after interruptions: "
            "save checkpoints more often."
        )
    if late := [line.usd for line in lines if line.ended_at.date() < first]:
        spent = usd(sum(late, Decimal(0)))
        found.append(f"{spent} is of {_count(len(late), 'machine')} that ended earlier; no earlier digest has it.")
    if total.bundled_price:
        found.append("Some prices rest on the table of this version of runctl, for AWS did not tell them.")
    if now is not None and now.unpriced:
        found.append(
            f"{now.unpriced} open runs have a machine whose price nobody knows; their cost is not in the sums."
        )
    return tuple(found)


def report_text(told: Report) -> str:
    """Write a report for people, as an e-mail shows it."""
    total = told.total
    days = f"{told.first}" if told.first == told.last else f"{told.first} to {told.last}"
    lines = [
        f"{days} (UTC): {_count(len(total.runs), 'run')} on {_count(total.machines, 'machine')} that have ended.",
        "",
        f"Spent       {usd(total.usd)}",
        f"Saved       {usd(total.saved_usd)} against on-demand",
        f"Recomputed  {usd(total.recomputed_usd)} paid again after interruptions",
    ]
    for title, groups in (("By project", told.by_project), ("By user", told.by_user), ("By type", told.by_type)):
        if groups:
            lines += ["", title, *(f"  {usd(sums.usd):>10}  {name}" for name, sums in groups.items())]
    if told.by_run:
        dear = list(told.by_run.items())[:MOST_EXPENSIVE]
        lines += ["", "Most expensive runs"]
        lines += [f"  {usd(sums.usd):>10}  {run_id}  {told.names.get(run_id, '')}" for run_id, sums in dear]
    if told.anomalies:
        lines += ["", "Look at", *(f"  {each}" for each in told.anomalies)]
    lines += ["", *_now_lines(told.now)]
    return "\n".join(lines)


def _now_lines(now: Figures | None) -> list[str]:
    if now is None:
        return ["The cost watch has not looked yet."]
    spent = sum((run.usd for run in now.runs.values()), Decimal(0))
    return [
        f"Running at {now.at:%Y-%m-%d %H:%M} UTC: {_count(len(now.runs), 'run')}, {usd(spent)} so far, "
        f"{usd(now.usd_per_hour)} an hour.",
        f"Forecast: {usd(now.forecast_usd)} more until their limits. This month so far: {usd(now.month_usd)}.",
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
