"""Gathering what is known of an attempt that has come to an end, and giving it its one reason."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from runctl.controller.departures import record_departure
from runctl.controller.loading import load_attempt
from runctl.controller.ports import Bucket, Machines, RunStore
from runctl.controller.stale import until_written
from runctl.controller.timeline import event_of_attempt, warnings_of_attempt
from runctl.model.agent_event import AgentEvent, AgentEventKind, TrainingEnded, is_authentic
from runctl.model.attempt import Attempt, Fact, FactKind
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.machine import MachineView
from runctl.model.run import Run
from runctl.model.timeline import TimelineKind
from runctl.policy import sentences
from runctl.policy.endings import Ending, Evidence, classify
from runctl.policy.facts import Departure


def look_again(
    attempt: Attempt, *, runs: RunStore, machines: Machines, bucket: Bucket, at: datetime
) -> tuple[Attempt, MachineView | None]:
    """Look at EC2 and at the final marker in the bucket for facts that no event brought; answers what is known then.

    An attempt whose agent has reported its end needs no other word.
    """
    if attempt.instance_id is None or FactKind.ENDED in attempt.facts:
        return attempt, None
    found = False
    view = machines.machine(attempt.instance_id)
    if view is not None and view.state.is_going and FactKind.GONE not in attempt.facts:
        found = record_departure(runs, attempt, Departure.of_view(view), at)
    marker = bucket.final_marker(attempt.run_id, attempt.number, attempt.instance_id, role_id=attempt.role_id)
    ended = None if marker is None else verified_end(attempt, marker)
    if ended is not None:
        found = record_end(runs, attempt, ended, at, kind=TimelineKind.TRAINING_ENDED) or found
    return (load_attempt(runs, attempt.run_id, attempt.number) if found else attempt), view


def departure_of(view: MachineView | None) -> Departure | None:
    """How a machine goes, as EC2 shows it; None for one that stays or that EC2 does not know."""
    return Departure.of_view(view) if view is not None and view.state.is_going else None


def verified_end(attempt: Attempt, detail: dict[str, Any]) -> TrainingEnded | None:
    """Read a signed `Training Ended` of this attempt's machine; None for anything else."""
    if not is_authentic(detail, attempt.secret):
        return None
    try:
        event = AgentEvent.model_validate(detail)
        ended = TrainingEnded.model_validate(event.data)
    except ValidationError:
        return None
    of_this_machine = (event.run_id, event.attempt, event.instance_id) == (
        attempt.run_id,
        attempt.number,
        attempt.instance_id,
    )
    return ended if of_this_machine and event.kind is AgentEventKind.TRAINING_ENDED else None


def record_end(runs: RunStore, attempt: Attempt, ended: TrainingEnded, at: datetime, *, kind: TimelineKind) -> bool:
    """Write the agent's report as a fact; tells whether it was news."""
    data = ended.model_dump(mode="json")
    event = event_of_attempt(
        attempt,
        kind,
        at,
        sentences.training_ended(ended),
        detail="" if kind is TimelineKind.TRAINING_ENDED else FactKind.ENDED.value,
        data={"why": ended.why.value, "exit_code": ended.exit_code},
    )
    is_news = runs.record_fact(attempt.run_id, attempt.number, FactKind.ENDED, Fact(at=at, data=data), event)
    if is_news:
        runs.add_events(warnings_of_attempt(attempt, at, ended.warnings, "ended"))
    return is_news


def end_attempt(runs: RunStore, run_id: RunId, number: AttemptNumber, ending: Ending, at: datetime) -> Attempt:
    """Give the attempt its one reason; one that has a reason keeps it."""
    return _end(runs, run_id, number, lambda _: ending, at)


def settle(runs: RunStore, run: Run, number: AttemptNumber, at: datetime, view: MachineView | None = None) -> Attempt:
    """Give an attempt that is out its reason, by the facts as they are in the very moment of writing."""

    def ending_of(attempt: Attempt) -> Ending:
        return classify(Evidence(attempt=attempt, stop_request=run.stop_request, departure=departure_of(view)))

    return _end(runs, run.run_id, number, ending_of, at)


def _end(
    runs: RunStore, run_id: RunId, number: AttemptNumber, ending_of: Callable[[Attempt], Ending], at: datetime
) -> Attempt:
    def write() -> Attempt:
        attempt = load_attempt(runs, run_id, number)
        if attempt.reason is not None:
            return attempt
        ending = ending_of(attempt)
        update = {"reason": ending.reason, "exit_code": ending.exit_code, "evidence": ending.text, "ended_at": at}
        ended = attempt.model_copy(update=update)
        text = f"Attempt {number} ended: {ending.reason}. {ending.text}"
        event = event_of_attempt(ended, TimelineKind.ATTEMPT_ENDED, at, text, data={"reason": ending.reason.value})
        return runs.save_attempt(ended, [event])

    return until_written(write)


def stored_ending(attempt: Attempt) -> Ending | None:
    """The ending that an earlier invocation has written."""
    return None if attempt.reason is None else Ending(attempt.reason, attempt.evidence, attempt.exit_code)
