"""How machines go: what EC2 says becomes the fact `gone`, and machines that are ours are ended. One that somebody keeps
is not gone when it is stopped: that is noted, and when it was started again."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from runctl.controller.loading import load_attempt
from runctl.controller.ports import Machines, RunStore
from runctl.controller.stale import until_written
from runctl.controller.timeline import event_of_attempt
from runctl.model.attempt import Attempt, Fact, FactKind
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.machine import MachineView
from runctl.model.names import Tag
from runctl.model.run import Run
from runctl.model.timeline import TimelineKind
from runctl.policy import sentences
from runctl.policy.facts import Departure
from runctl.policy.pauses import STOPS, may_rest, with_sighting, with_stop

VISIBLE_AFTER: Final = timedelta(seconds=60)
"""A new instance may be invisible for a short while; one that EC2 does not know after this is gone (EC2 API
Reference, "Eventual consistency in the Amazon EC2 API")."""


def record_departure(
    runs: RunStore, attempt: Attempt, departure: Departure, at: datetime, *, told_at: datetime | None = None
) -> bool:
    """Write that a machine is going, and when charging ended; tells whether it was news. A stop of one that is kept is
    only noted."""
    if departure.state in STOPS and may_rest(attempt):
        _note(runs, attempt, lambda stored: with_stop(stored, at))
        return False
    text = sentences.departed(attempt, departure)
    event = event_of_attempt(attempt, TimelineKind.MACHINE_GONE, told_at or at, text, data=departure.data)
    fact = Fact(at=at, data=departure.data)
    is_news = runs.record_fact(attempt.run_id, attempt.number, FactKind.GONE, fact, event)
    until_written(lambda: _close_charging(runs, attempt.run_id, attempt.number, at))
    return is_news


def _close_charging(runs: RunStore, run_id: RunId, number: AttemptNumber, at: datetime) -> None:
    attempt = load_attempt(runs, run_id, number)
    if attempt.gone_at is None:
        runs.save_attempt(attempt.model_copy(update={"gone_at": at}))


def note_sighting(runs: RunStore, attempt: Attempt, view: MachineView, at: datetime) -> Attempt:
    """Note when a machine that somebody keeps was last stopped and started, as EC2 shows it; answers the attempt as it
    is then. Whoever looks again, or late, changes nothing."""
    if not may_rest(attempt) or attempt.settlement is not None or with_sighting(attempt, view, at) == attempt:
        return attempt
    return _note(runs, attempt, lambda stored: with_sighting(stored, view, at))


def _note(runs: RunStore, attempt: Attempt, noted: Callable[[Attempt], Attempt]) -> Attempt:
    def write() -> Attempt:
        stored = load_attempt(runs, attempt.run_id, attempt.number)
        changed = noted(stored)
        return stored if changed == stored or stored.settlement is not None else runs.save_attempt(changed)

    return until_written(write)


def launcher_of(runs: RunStore, view: MachineView) -> Attempt | None:
    """Find the attempt that launched a machine: what the machine costs is written there, whoever trains on it."""
    attempts = runs.attempts(RunId(view.tags.get(Tag.RUN, "")))
    return next((each for each in attempts if each.instance_id == view.instance_id and each.launched_at), None)


def is_ours(run: Run, attempt: Attempt) -> bool:
    """Whether the run launched the machine itself; one that a user gave is never ended."""
    return attempt.instance_id is not None and attempt.instance_id != run.machine


def is_invisible_yet(attempt: Attempt, at: datetime) -> bool:
    """Whether a machine that EC2 does not know may still be about to appear."""
    return attempt.launched_at is not None and at - attempt.launched_at <= VISIBLE_AFTER


def end_machine(run: Run, attempt: Attempt, *, runs: RunStore, machines: Machines, at: datetime) -> MachineView | None:
    """Ask EC2 to end the attempt's machine, if it is ours and there, and record what EC2 says then; answers EC2's view.

    A machine that has ended is not asked to end: EC2 takes the tags off it after a while (EC2 User Guide, "Terminate
    your instance"), and our right to end a machine rests on its run tag.
    """
    if attempt.instance_id is None:
        return None
    view = machines.machine(attempt.instance_id)
    if is_ours(run, attempt) and view is not None and not view.state.is_final:
        machines.terminate(attempt.instance_id)
        text = f"runctl asked EC2 to end the {sentences.machine(attempt)}."
        # Asked again and again until EC2 says that it goes, but told once: the end of the attempt is one time.
        told_at = attempt.ended_at or at
        runs.add_events([event_of_attempt(attempt, TimelineKind.MACHINE_TERMINATED, told_at, text)])
        view = machines.machine(attempt.instance_id)
    if view is not None and view.state.is_going:
        record_departure(runs, attempt, Departure.of_view(view), at)
    return view
