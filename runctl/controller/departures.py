"""How machines go: what EC2 says becomes the fact `gone`, and machines that are ours are ended."""

from datetime import datetime

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


def end_machine(run: Run, attempt: Attempt, *, runs: RunStore, machines: Machines, at: datetime) -> MachineView | None:
    """Ask EC2 to end the attempt's machine, if it is ours, and record what EC2 says then; answers EC2's view."""
    if attempt.instance_id is None:
        return None
    if is_ours(run, attempt):
        machines.terminate(attempt.instance_id)
        text = f"runctl asked EC2 to end the {sentences.machine(attempt)}."
        runs.add_events([event_of_attempt(attempt, TimelineKind.MACHINE_TERMINATED, at, text)])
    view = machines.machine(attempt.instance_id)
    if view is not None and view.state.is_going:
        record_departure(runs, attempt, Departure.of_view(view), at)
    return view
