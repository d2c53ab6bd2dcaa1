"""Settle what machines cost once EC2 has said how and when they ended: the one place that writes it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from runctl.controller.departures import VISIBLE_AFTER, note_sighting, record_departure
from runctl.controller.ports import Machines, RunStore
from runctl.model.attempt import Attempt
from runctl.model.ids import InstanceId, RunId
from runctl.model.machine import MachineView
from runctl.model.price import PriceStep
from runctl.policy.facts import Departure
from runctl.policy.pauses import STOPS, may_rest
from runctl.policy.settling import is_ready_to_settle, settlement_of, spending_of

_UNKNOWN: Final = Departure(state="terminated", state_message="EC2 does not know the machine any more.")


def settle_attempts(
    unsettled: Iterable[Attempt],
    shown: Mapping[InstanceId, MachineView],
    moved: Mapping[tuple[str, str], tuple[PriceStep, ...]],
    *,
    runs: RunStore,
    machines: Machines,
    at: datetime,
) -> tuple[Attempt, ...]:
    """Bill the machines that have ended; answers the attempts that are still unsettled. `shown` are the machines that
    have not ended, stopped ones too: of those that are kept it is noted when they were stopped and started.

    EC2 is asked about hundreds of machines in a call. Reads and writes of the table are one or a few for each machine
    that ended since the last look, none for those that run.
    """
    known = tuple(_noted(attempt, shown, runs, at) for attempt in unsettled)
    ended = [attempt for attempt in known if attempt.gone_at is not None or _may_be_gone(attempt, shown, at)]
    views = machines.views(attempt.instance_id for attempt in ended if attempt.instance_id is not None)
    settled: set[tuple[RunId, int]] = set()
    for each in ended:
        view = None if each.instance_id is None else views.get(each.instance_id)
        attempt = each if view is None else note_sighting(runs, each, view, at)
        if attempt.gone_at is None:
            _close(attempt, view, runs=runs, at=at)
        elif is_ready_to_settle(attempt, view, at) and _settle(attempt, view, moved, runs=runs, at=at):
            settled.add((attempt.run_id, attempt.number))
    return tuple(attempt for attempt in known if (attempt.run_id, attempt.number) not in settled)


def _noted(attempt: Attempt, shown: Mapping[InstanceId, MachineView], runs: RunStore, at: datetime) -> Attempt:
    view = None if attempt.instance_id is None else shown.get(attempt.instance_id)
    return attempt if view is None else note_sighting(runs, attempt, view, at)


def _may_be_gone(attempt: Attempt, shown: Mapping[InstanceId, MachineView], at: datetime) -> bool:
    """Whether an attempt that has ended holds a machine that EC2 lists neither as living nor, where it is kept, as
    stopped: the event of its end may be lost, and nothing else looks at it any more."""
    if attempt.reason is None or attempt.launched_at is None or attempt.instance_id is None:
        return False
    view = shown.get(attempt.instance_id)
    is_there = view is not None and (not view.state.is_going or (view.state in STOPS and may_rest(attempt)))
    return not is_there and at - attempt.launched_at > VISIBLE_AFTER


def _close(attempt: Attempt, view: MachineView | None, *, runs: RunStore, at: datetime) -> None:
    if view is None:
        record_departure(runs, attempt, _UNKNOWN, at)
    elif view.state.is_going:
        record_departure(runs, attempt, Departure.of_view(view), view.changed_at or at, told_at=at)


def _settle(
    attempt: Attempt,
    view: MachineView | None,
    moved: Mapping[tuple[str, str], tuple[PriceStep, ...]],
    *,
    runs: RunStore,
    at: datetime,
) -> bool:
    run = runs.run(attempt.run_id)
    if run is None:
        return False
    earlier = () if attempt.number == 1 else _before(attempt, runs)
    steps = moved.get((attempt.instance_type or "", attempt.availability_zone or ""), ())
    settlement = settlement_of(attempt, earlier, view, steps, at)
    return settlement is not None and runs.settle(attempt, settlement, spending_of(run, attempt, settlement))


def _before(attempt: Attempt, runs: RunStore) -> tuple[Attempt, ...]:
    return tuple(each for each in runs.attempts(attempt.run_id) if each.number < attempt.number)
