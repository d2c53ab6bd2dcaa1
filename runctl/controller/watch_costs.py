"""Watch costs: settle machines that have ended, tell what all open runs cost, and warn people in time."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from runctl.controller.notices import tell, tell_once
from runctl.controller.ports import Clock, Machines, Metrics, Notifications, Prices, RunStore, SpendingLedger
from runctl.controller.settle_attempts import settle_attempts
from runctl.model import timing
from runctl.model.attempt import Attempt
from runctl.model.base import clock_text
from runctl.model.ids import RunId
from runctl.model.machine import MachineView
from runctl.model.names import Metric, Tag
from runctl.model.notice import NoticeKind
from runctl.model.price import PriceStep
from runctl.model.run import PurchaseOption, Run
from runctl.policy.reaping import is_kept
from runctl.policy.watching import Seen, figures, is_over_cost, tellings


def watch_costs(
    *,
    runs: RunStore,
    ledger: SpendingLedger,
    machines: Machines,
    prices: Prices,
    metrics: Metrics,
    notifications: Notifications,
    now: Clock,
) -> dict[str, Any]:
    """Settle what has ended; add up what open runs cost, tell people what comes near a limit, does not move, or is paid
    for without a run.

    A machine without a known price is counted apart and never taken for free. The number of calls grows with pools,
    and with machines that ended and messages that are sent since the last look, not with open runs: pages of runs,
    attempts and machines hold hundreds.
    """
    at = now()
    shown = {view.instance_id: view for view in machines.tagged_machines()}
    living = {view.instance_id: view for view in shown.values() if not view.state.is_going}
    unsettled = tuple(runs.unsettled_attempts())
    moved = _moved(unsettled, prices, at)
    left = settle_attempts(unsettled, shown, moved, runs=runs, machines=machines, at=at)
    attempts_of: defaultdict[RunId, list[Attempt]] = defaultdict(list)
    for attempt in left:
        attempts_of[attempt.run_id].append(with_prices(attempt, moved, prices))
    seen = tuple(Seen(run, tuple(attempts_of.pop(run.run_id, ()))) for run in runs.open_runs())
    kept = _living(attempts_of, runs)
    others = tuple(attempt for attempts in attempts_of.values() for attempt in attempts)
    found = figures(seen, kept, others, ledger.month_usd(f"{at:%Y-%m}"), at)
    ledger.save_figures(found)
    over = [each.run.run_id for each in seen if is_over_cost(each, at)]
    ours = {each.run.run_id for each in seen}
    owners = {each.run.run_id: each.run for each in kept}
    idle = [view for view in living.values() if not _is_owned(view, ours, owners, runs, at)]
    told = _tell(seen, idle, runs=runs, notifications=notifications, at=at)
    at_times = {
        Metric.RUNS_OVER_COST: float(len(over)),
        Metric.USD_PER_HOUR: float(found.usd_per_hour),
        Metric.FORECAST_USD: float(found.forecast_usd),
        Metric.IDLE_MACHINES: float(len(idle)),
    }
    metrics.put(
        {Metric.MONTH_USD: float(found.month_usd)} | {metric: value for metric, value in at_times.items() if value}
    )
    return {
        "open_runs": len(seen),
        "over_cost": over,
        "unpriced": found.unpriced,
        "settled": len(unsettled) - len(left),
        "idle_machines": len(idle),
        "told": told,
        "usd_per_hour": str(found.usd_per_hour),
        "month_usd": str(found.month_usd),
    }


def _living(attempts_of: dict[RunId, list[Attempt]], runs: RunStore) -> tuple[Seen, ...]:
    """Take out the ended runs whose machines have not ended: those that are kept, and a few that are about to go."""
    found: list[Seen] = []
    for run_id in [key for key, attempts in attempts_of.items() if any(each.owns_live_machine for each in attempts)]:
        run = runs.run(run_id)
        if run is not None:
            found.append(Seen(run, tuple(attempts_of.pop(run_id))))
    return tuple(found)


def _is_owned(
    view: MachineView, ours: Container[str], owners: Mapping[RunId, Run], runs: RunStore, at: datetime
) -> bool:
    """Whether an open run has the machine, or somebody keeps it; when a kept one is idle, the reaper tells of it."""
    run_id = RunId(view.tags.get(Tag.RUN, ""))
    if run_id in ours:
        return True
    run = owners.get(run_id) or runs.run(run_id)
    return run is not None and is_kept(run, at)


def in_force(attempts: Sequence[Attempt], prices: Prices, at: datetime) -> tuple[Attempt, ...]:
    """The attempts, those that are not settled with the prices in force since their launch."""
    moved = _moved((attempt for attempt in attempts if attempt.is_unsettled), prices, at)
    return tuple(with_prices(each, moved, prices) if each.is_unsettled else each for each in attempts)


def _tell(
    seen: Iterable[Seen],
    idle: Iterable[MachineView],
    *,
    runs: RunStore,
    notifications: Notifications,
    at: datetime,
) -> int:
    """Tell people what they should know, each thing once; answers how much was told."""
    told = 0
    for each in seen:
        for telling in tellings(each, at):
            told += tell(
                each.run,
                telling.kind,
                telling.text,
                runs=runs,
                notifications=notifications,
                at=at,
                detail=telling.detail,
            )
    for view in idle:
        if Tag.PROTECTED in view.tags or view.launched_at is None or at - view.launched_at < timing.REAPER_GRACE:
            continue
        told += tell_once(
            RunId(view.tags.get(Tag.RUN, "")),
            NoticeKind.WITHOUT_RUN,
            f"runctl: the machine {view.instance_id} costs without a run",
            f"The {view.instance_type} {view.instance_id} in {view.availability_zone} runs since "
            f"{clock_text(view.launched_at)}, and no open run owns it "
            f"(its tag says {view.tags.get(Tag.RUN) or 'nothing'}).\n"
            f"See it: runctl resources list\nEnd it: aws ec2 terminate-instances --instance-ids {view.instance_id}",
            runs=runs,
            notifications=notifications,
            at=at,
            detail=view.instance_id,
        )
    return told


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
