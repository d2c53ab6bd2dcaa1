"""What the cost watch concludes from what it sees: figures, limits that come near, runs that do not move."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from runctl.model.attempt import Attempt, FactKind
from runctl.model.figures import Figures, RunFigures
from runctl.model.notice import NoticeKind
from runctl.model.run import Run
from runctl.model.status import RunStatus
from runctl.policy import cost as costs
from runctl.policy.cost import usd
from runctl.policy.runtime import trained_for
from runctl.policy.sentences import duration

STILL_FOR: Final = timedelta(hours=1)
"""Without anything new from a training that has reported or saved something before."""

SILENT_FOR: Final = timedelta(hours=6)
"""Without anything at all: a script need not report, nor save often."""

_HOUR: Final = Decimal(3_600)


@dataclass(frozen=True)
class Seen:
    """An open run, or one whose machine is kept, with those of its attempts that are not settled, each with the prices
    in force."""

    run: Run
    attempts: Sequence[Attempt]

    def usd(self, now: datetime) -> Decimal:
        """Spent so far."""
        return self.run.settled_usd + costs.run_cost(self.attempts, now).accrued_usd

    @property
    def usd_per_hour(self) -> Decimal:
        """What its living machines cost an hour, as far as their prices are known."""
        live = (attempt for attempt in self.attempts if attempt.owns_live_machine)
        return sum((costs.usd_per_hour(attempt) or Decimal(0) for attempt in live), Decimal(0))


@dataclass(frozen=True)
class Telling:
    """Something that people should be told once; `detail` makes it another thing when a limit was raised."""

    kind: NoticeKind
    text: str
    detail: str = ""


def tellings(seen: Seen, now: datetime) -> tuple[Telling, ...]:
    """What is to be told of an open run."""
    telling = _progress(seen, now)
    return () if telling is None else (telling,)


def is_over_cost(seen: Seen, now: datetime) -> bool:
    """Whether a run has cost more than it may."""
    limit = seen.run.spec.max_cost_usd
    return limit is not None and seen.usd(now) > limit


def trained(seen: Seen, now: datetime) -> timedelta:
    """How long the run's unsettled attempts have trained: earlier ones are not read for this."""
    return sum((trained_for(attempt, now) for attempt in seen.attempts), timedelta())


def _progress(seen: Seen, now: datetime) -> Telling | None:
    run = seen.run
    started = [
        attempt.facts[FactKind.STARTED].at
        for attempt in seen.attempts
        if FactKind.STARTED in attempt.facts and attempt.number == run.attempt
    ]
    if run.status is not RunStatus.RUNNING or not started:
        return None
    said = [each for each in (run.progress and run.progress.at, run.checkpoint and run.checkpoint.saved_at) if each]
    newest = max([*said, *started])
    patience = STILL_FOR if said else SILENT_FOR
    if now - newest < patience:
        return None
    text = (
        f"Its training runs, and for {duration(now - newest)} nothing new was reported or saved. It costs "
        f"{usd(seen.usd_per_hour)} an hour.\nSee what it prints: runctl logs {run.run_id} -f\n"
        f"End it: runctl cancel {run.run_id}"
    )
    return Telling(NoticeKind.NO_PROGRESS, text, f"{run.attempt}")


def figures(
    seen: Sequence[Seen], kept: Sequence[Seen], others: Sequence[Attempt], settled_usd: Decimal, now: datetime
) -> Figures:
    """Add up what is seen. `kept` are ended runs whose machines have not ended, stopped ones too; `others` are
    unsettled attempts of runs whose machines have. `settled_usd` is the month's."""
    by_project: defaultdict[str, Decimal] = defaultdict(Decimal)
    by_user: defaultdict[str, Decimal] = defaultdict(Decimal)
    by_pool: defaultdict[str, Decimal] = defaultdict(Decimal)
    runs: dict[str, RunFigures] = {}
    running, hourly, forecast, unpriced = costs.run_cost(others, now).accrued_usd, Decimal(0), Decimal(0), 0
    for each in (*seen, *kept):
        spent, an_hour = each.usd(now), each.usd_per_hour
        cost = costs.run_cost(each.attempts, now)
        unpriced += not cost.is_complete
        running += cost.accrued_usd
        hourly += an_hour
        forecast += _yet_to_spend(each, spent, an_hour, now)
        by_project[each.run.project] += spent
        by_user[each.run.user] += spent
        for attempt in each.attempts:
            if attempt.owns_live_machine:
                by_pool[pool_name(attempt)] += costs.usd_per_hour(attempt) or Decimal(0)
        if not each.run.status.is_terminal:
            runs[each.run.run_id] = RunFigures(
                usd=round(spent, 6), usd_per_hour=round(an_hour, 6), project=each.run.project, user=each.run.user
            )
    return Figures(
        at=now,
        month=f"{now:%Y-%m}",
        month_usd=round(settled_usd + running, 6),
        usd_per_hour=round(hourly, 6),
        forecast_usd=round(forecast, 6),
        unpriced=unpriced,
        by_project=_rounded(by_project),
        by_user=_rounded(by_user),
        by_pool=_rounded(by_pool),
        runs=runs,
    )


def _yet_to_spend(seen: Seen, spent: Decimal, usd_per_hour: Decimal, now: datetime) -> Decimal:
    if seen.run.status.is_terminal:
        left = (seen.run.kept_until or now) - now
        return usd_per_hour * max(0, left // timedelta(seconds=1)) / _HOUR
    left_s = max(0, seen.run.spec.max_runtime_s - trained(seen, now) // timedelta(seconds=1))
    at_most = usd_per_hour * left_s / _HOUR
    limit = seen.run.spec.max_cost_usd
    return at_most if limit is None else min(at_most, max(Decimal(0), limit - spent))


def pool_name(attempt: Attempt) -> str:
    """The pool of an attempt's machine, as figures name it."""
    option = "" if attempt.purchase_option is None else attempt.purchase_option.value
    return f"{attempt.instance_type or '?'} {attempt.availability_zone or '?'} {option}".strip()


def _rounded(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {name: round(amount, 6) for name, amount in amounts.items()}
