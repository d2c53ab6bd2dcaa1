"""When a machine that somebody keeps was stopped: told from what was seen of its starts and stops, in whatever order.

EC2 shows the last start and the last stop of a machine only (`LaunchTime`, `StateTransitionReason`); both are noted on
the attempt that launched it whenever somebody looks. From the same notes always follows the same, however often and in
which order they were taken. A stop that nobody saw is taken to have been when the machine was started again: at most
one interval of the cost watch is charged too much, and never a second too little.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from runctl.model.attempt import Attempt, FactKind
from runctl.model.machine import MachineState, MachineView
from runctl.model.status import Reason
from runctl.policy import facts

FIRST_START_WITHIN: Final = timedelta(seconds=60)
"""EC2's time of a launch and ours, when its answer came, differ by less; a machine is not started again that soon."""

STOPS: Final = (MachineState.STOPPING, MachineState.STOPPED)


@dataclass(frozen=True)
class Pause:
    """A time in which a machine was stopped; `until` is None while it is."""

    since: datetime
    until: datetime | None


def pauses_of(launched_at: datetime, stops: Iterable[datetime], restarts: Iterable[datetime]) -> tuple[Pause, ...]:
    """Put the notes in order: of several stops without a start between them the first counts."""
    pauses: list[Pause] = []
    stopped_at: datetime | None = None
    notes = sorted([(at, 0) for at in stops if at > launched_at] + [(at, 1) for at in restarts if at > launched_at])
    for at, is_start in notes:
        if is_start:
            pauses.append(Pause(stopped_at or at, at))
            stopped_at = None
        else:
            stopped_at = stopped_at or at
    if stopped_at is not None:
        pauses.append(Pause(stopped_at, None))
    return tuple(pauses)


def pauses(attempt: Attempt) -> tuple[Pause, ...]:
    """Tell when the attempt's machine was stopped, as far as that is noted."""
    if attempt.launched_at is None:
        return ()
    return pauses_of(attempt.launched_at, attempt.stops, attempt.restarts)


def may_rest(attempt: Attempt) -> bool:
    """Whether the attempt launched a machine that somebody may keep: a stop is not its end then, for it can be started
    again, and its disk goes on costing."""
    if attempt.launched_at is None or attempt.instance_id is None:
        return False
    if attempt.reason is not None:
        return attempt.reason is Reason.COMPLETED
    report = facts.report(attempt) if FactKind.ENDED in attempt.facts else None
    return report is not None and facts.is_success(report)


def with_sighting(attempt: Attempt, view: MachineView, at: datetime) -> Attempt:
    """The attempt with what EC2 shows of its machine's last start and stop; the same one when that is no news."""
    seen = attempt
    if attempt.launched_at is None:
        return attempt
    started_at = view.launched_at
    if started_at is not None and _is_again(attempt, started_at) and as_stored(started_at) not in attempt.restarts:
        seen = seen.model_copy(update={"restarts": tuple(sorted((*seen.restarts, as_stored(started_at))))})
    if view.state not in STOPS:
        return seen
    last_start = view.launched_at or attempt.launched_at
    is_known = view.changed_at is not None and view.changed_at >= last_start
    return with_stop(seen, view.changed_at if is_known and view.changed_at is not None else at)


def with_stop(attempt: Attempt, at: datetime) -> Attempt:
    """The attempt with a stop of its machine; the same one when it is known to have been stopped then."""
    if attempt.launched_at is None or at <= attempt.launched_at:
        return attempt
    if any(pause.since <= at and (pause.until is None or at <= pause.until) for pause in pauses(attempt)):
        return attempt
    return attempt.model_copy(update={"stops": tuple(sorted((*attempt.stops, as_stored(at))))})


def _is_again(attempt: Attempt, started_at: datetime) -> bool:
    assert attempt.launched_at is not None
    after_a_stop = any(attempt.launched_at < stop <= started_at for stop in attempt.stops)
    return after_a_stop or started_at > attempt.launched_at + FIRST_START_WITHIN


def as_stored(moment: datetime) -> datetime:
    """The time as the table keeps it, in whole milliseconds: a note that is read again is the same note."""
    return moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)
