"""How machines go: what EC2 says becomes the fact `gone`, and machines that are ours are ended."""

from datetime import datetime, timedelta
from typing import Final

from runctl.controller.loading import load_attempt
from runctl.controller.ports import Machines, RunStore
from runctl.controller.stale import until_written
from runctl.controller.timeline import event_of_attempt
from runctl.model.attempt import Attempt, Fact, FactKind
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.machine import MachineView
from runctl.model.run import Run
from runctl.model.timeline import TimelineKind
from runctl.policy import sentences
from runctl.policy.facts import Departure

VISIBLE_AFTER: Final = timedelta(seconds=60)
"""A new instance may be invisible for a short while; one that EC2 does not know after this is gone (EC2 API
Reference, "Eventual consistency in the Amazon EC2 API")."""


def record_departure(
    runs: RunStore, attempt: Attempt, departure: Departure, at: datetime, *, told_at: datetime | None = None
) -> bool:
    """Write that a machine is going, and when charging ended; tells whether it was news."""
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
