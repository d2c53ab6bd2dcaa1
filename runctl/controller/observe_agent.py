"""Observe the agent: its events become facts, figures and checkpoints, once they are verified."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from runctl.controller.answers import counts, is_current
from runctl.controller.conclusion import Concluding, conclude
from runctl.controller.evidence import record_end
from runctl.controller.loading import load_attempt, load_run
from runctl.controller.moves import move
from runctl.controller.ports import (
    Bucket,
    Clock,
    Commands,
    Machines,
    Metrics,
    Notifications,
    RunStore,
    Schedules,
    TaskTokens,
)
from runctl.controller.reaction import react
from runctl.controller.ready import record_ready
from runctl.controller.stale import until_written
from runctl.controller.timeline import event_of_attempt, warnings_of_attempt
from runctl.model import keys
from runctl.model.agent_event import (
    AgentEvent,
    AgentEventKind,
    CheckpointSaved,
    ProgressReport,
    TrainingEnded,
    TrainingStarted,
    WaitingForHandOver,
    is_authentic,
)
from runctl.model.attempt import Attempt, Fact, FactKind
from runctl.model.base import UtcDatetime, iso
from runctl.model.ids import RunId
from runctl.model.names import Metric
from runctl.model.run import CheckpointRef, Progress, Run
from runctl.model.service_events import BusEvent
from runctl.model.status import RunStatus
from runctl.model.timeline import TimelineKind
from runctl.policy import sentences


def observe_agent(
    event: BusEvent,
    *,
    runs: RunStore,
    tokens: TaskTokens,
    machines: Machines,
    commands: Commands,
    bucket: Bucket,
    schedules: Schedules,
    notifications: Notifications,
    metrics: Metrics,
    now: Clock,
) -> dict[str, Any]:
    """Write what a machine of ours says. What cannot be verified is dropped and counted."""
    try:
        said = AgentEvent.model_validate(event.detail)
        seen = _Said(said, _time_of(_TIME.validate_python(said.time), event.time), _read_data(said))
    except ValidationError as error:
        metrics.put({Metric.UNVERIFIED_EVENTS: 1})
        return {"outcome": "unverified", "problems": error.error_count()}
    speaker = _speaker(said, event, runs)
    if speaker is None:
        metrics.put({Metric.UNVERIFIED_EVENTS: 1})
        return {"outcome": "unverified"}
    run, attempt = speaker
    _observe(seen, run, attempt, runs=runs, commands=commands, at=now())
    ports = Concluding(runs, machines, bucket, schedules, notifications, now)
    outcome = "nothing"
    if said.kind is AgentEventKind.MACHINE_READY and run.status.is_terminal:
        # Launched for a run that ended meanwhile, and not visible when its machines were ended.
        conclude(said.run_id, ports)
        outcome = "ended"
    elif said.kind in _LEAD_ON:
        outcome = react(said.run_id, said.attempt, tokens=tokens, ports=ports)
    return {"run_id": said.run_id, "attempt": said.attempt, "kind": said.kind.value, "outcome": outcome}


CLOCKS_AGREE_WITHIN: Final = timedelta(seconds=60)
"""A machine's clock that is further from EventBridge's is wrong: EC2 keeps those of its images to milliseconds."""


def _time_of(machines: datetime, buses: datetime) -> datetime:
    """Take the machine's own time, which has milliseconds, unless its clock is wrong: limits are counted from it."""
    return machines if abs(machines - buses) <= CLOCKS_AGREE_WITHIN else buses


_TIME: TypeAdapter[datetime] = TypeAdapter(UtcDatetime)

_LEAD_ON: Final = frozenset(
    {AgentEventKind.MACHINE_READY, AgentEventKind.WAITING_FOR_HAND_OVER, AgentEventKind.TRAINING_ENDED}
)
"""Kinds after which something may have to follow."""

_Data = WaitingForHandOver | TrainingStarted | ProgressReport | CheckpointSaved | TrainingEnded | None


@dataclass(frozen=True)
class _Said:
    """An agent's event that makes sense. The time is the machine's own: EventBridge's has whole seconds only."""

    event: AgentEvent
    time: datetime
    data: _Data


def _read_data(said: AgentEvent) -> _Data:
    match said.kind:
        case AgentEventKind.MACHINE_READY:
            return None
        case AgentEventKind.WAITING_FOR_HAND_OVER:
            return WaitingForHandOver.model_validate(said.data)
        case AgentEventKind.TRAINING_STARTED:
            return TrainingStarted.model_validate(said.data)
        case AgentEventKind.PROGRESS:
            return ProgressReport.model_validate(said.data)
        case AgentEventKind.CHECKPOINT_SAVED:
            return CheckpointSaved.model_validate(said.data)
        case AgentEventKind.TRAINING_ENDED:
            return TrainingEnded.model_validate(said.data)


def _speaker(said: AgentEvent, event: BusEvent, runs: RunStore) -> tuple[Run, Attempt] | None:
    """Find whom the event speaks for, if it may: the attempt's machine, with the attempt's signature.

    `Machine Ready` is not signed, for the machine knows no secret yet; it is a hint only, and SSM is asked.
    """
    attempt = runs.attempt(said.run_id, said.attempt)
    if attempt is None:
        return None
    if said.kind is AgentEventKind.MACHINE_READY and attempt.instance_id is None:
        # Faster than the launch's answer was stored: it announces itself again, and `Wait for SSM` looks by itself.
        run = runs.run(said.run_id)
        return None if run is None else (run, attempt)
    if attempt.instance_id != said.instance_id:
        return None
    if said.kind is not AgentEventKind.MACHINE_READY and not is_authentic(event.detail, attempt.secret):
        return None
    run = runs.run(said.run_id)
    return None if run is None else (run, attempt)


def _observe(seen: _Said, run: Run, attempt: Attempt, *, runs: RunStore, commands: Commands, at: datetime) -> None:
    match seen.data:
        case None:
            _ready(attempt, runs=runs, commands=commands, at=at)
        case WaitingForHandOver():
            _waits(seen.data, seen.time, run, attempt, runs=runs)
        case TrainingStarted():
            _started(seen.data, seen.time, run, attempt, runs=runs, at=at)
        case ProgressReport():
            if counts(run, attempt):
                runs.record_progress(run.run_id, _figures(seen.data))
            _warned(seen.data, seen.time, attempt, runs=runs)
        case CheckpointSaved():
            _saved(seen.data, run, attempt, runs=runs)
            if seen.data.progress is not None:
                _warned(seen.data.progress, seen.time, attempt, runs=runs)
        case TrainingEnded():
            kind = TimelineKind.TRAINING_ENDED if counts(run, attempt) else TimelineKind.LATE_EVIDENCE
            record_end(runs, attempt, seen.data, seen.time, kind=kind)


def _ready(attempt: Attempt, *, runs: RunStore, commands: Commands, at: datetime) -> None:
    """Ask SSM itself. While it says no nothing is written: the machine announces itself again in ten seconds."""
    if attempt.instance_id is None or FactKind.READY in attempt.facts:
        return
    if commands.is_online(attempt.instance_id):
        record_ready(runs, attempt, at)


def _waits(waiting: WaitingForHandOver, time: datetime, run: Run, attempt: Attempt, *, runs: RunStore) -> None:
    """Write once that the machine is prepared; it says so again and again until it may train."""
    text = f"The {sentences.machine(attempt)} is prepared and waits until the machine before it has left."
    event = event_of_attempt(attempt, TimelineKind.WAITING_FOR_HAND_OVER, time, text)
    fact = Fact(at=time, data=waiting.model_dump(mode="json"))
    runs.record_fact(run.run_id, attempt.number, FactKind.WAITING, fact, event)


def _started(
    started: TrainingStarted, time: datetime, run: Run, attempt: Attempt, *, runs: RunStore, at: datetime
) -> None:
    resumed = started.resumed_from is not None
    where = "" if started.resumed_from_step is None else f" at step {started.resumed_from_step}"
    text = (
        f"The training resumed{where} on the {sentences.machine(attempt)}."
        if resumed
        else f"The training started on the {sentences.machine(attempt)}."
    )
    if started.code_files is not None:
        text = f"{sentences.code_verified(run.spec, started.code_files)} {text}"
    current = is_current(run, attempt)
    kind = TimelineKind.TRAINING_STARTED if current else TimelineKind.LATE_EVIDENCE
    data = started.model_dump(mode="json")
    timeline = event_of_attempt(
        attempt,
        kind,
        time,
        text,
        detail="" if current else FactKind.STARTED.value,
        data={"resumed_from_step": started.resumed_from_step, "prepared_s": started.prepared_s},
    )
    runs.record_fact(run.run_id, attempt.number, FactKind.STARTED, Fact(at=time, data=data), timeline)
    runs.add_events(warnings_of_attempt(attempt, time, started.warnings, "started"))
    until_written(lambda: _keep_resume_point(runs, attempt, started))
    until_written(lambda: _move_to_running(runs, attempt, text, at))


def _keep_resume_point(runs: RunStore, attempt: Attempt, started: TrainingStarted) -> None:
    read = load_attempt(runs, attempt.run_id, attempt.number)
    if started.resumed_from is not None and read.resumed_from is None:
        update = {
            "resumed_from": started.resumed_from,
            "resumed_from_step": started.resumed_from_step,
            "resumed_from_saved_at": _saved_at(runs, attempt.run_id, started.resumed_from),
        }
        runs.save_attempt(read.model_copy(update=update))


def _saved_at(runs: RunStore, run_id: RunId, manifest_key: str) -> datetime | None:
    """When a checkpoint of this run was saved, as its event told; None for another run's."""
    run = load_run(runs, run_id)
    if run.checkpoint is not None and run.checkpoint.manifest_key == manifest_key:
        return run.checkpoint.saved_at
    saved = (event for event in runs.events(run_id) if event.kind is TimelineKind.CHECKPOINT_SAVED)
    return next((event.at for event in saved if event.data.get("manifest_key") == manifest_key), None)


def _move_to_running(runs: RunStore, attempt: Attempt, text: str, at: datetime) -> None:
    run, read = load_run(runs, attempt.run_id), load_attempt(runs, attempt.run_id, attempt.number)
    if is_current(run, read) and FactKind.ENDED not in read.facts and run.status is RunStatus.PREPARING:
        move(runs, run, RunStatus.RUNNING, text, at)


def _saved(saved: CheckpointSaved, run: Run, attempt: Attempt, *, runs: RunStore) -> None:
    """Keep a checkpoint that lies where this attempt may write, and the figures that came with it. The store refuses
    one of an attempt that is not current, or that is not newer."""
    if not saved.manifest_key.startswith(f"{keys.attempts_prefix(attempt.run_id)}{attempt.number:04d}/"):
        return
    reference = CheckpointRef(
        name=saved.name,
        step=saved.step,
        manifest_key=saved.manifest_key,
        bytes=saved.bytes,
        saved_at=saved.saved_at,
        attempt=attempt.number,
    )
    step = f" of step {saved.step}" if saved.step is not None else ""
    text = f"The checkpoint {saved.name}{step} is in the bucket ({sentences.size(saved.bytes, saved.files)})."
    data = {"name": saved.name, "step": saved.step, "bytes": saved.bytes, "manifest_key": saved.manifest_key}
    timeline = event_of_attempt(
        attempt, TimelineKind.CHECKPOINT_SAVED, saved.saved_at, text, detail=saved.name, data=data
    )
    runs.record_checkpoint(attempt.run_id, reference, timeline, _newer_figures(saved, run))


def _newer_figures(saved: CheckpointSaved, run: Run) -> Progress | None:
    """Events come in any order: figures that are older than those there are left out."""
    if saved.progress is None or (run.progress is not None and run.progress.at >= saved.progress.at):
        return None
    return _figures(saved.progress)


def _figures(report: ProgressReport) -> Progress:
    return Progress(**report.model_dump(exclude={"warnings"}))


def _warned(report: ProgressReport, time: datetime, attempt: Attempt, *, runs: RunStore) -> None:
    """Show the troubles that a training goes on through, whoever's turn it is; an event that comes twice shows them
    once."""
    runs.add_events(warnings_of_attempt(attempt, time, report.warnings, f"progress-{iso(time)}"))
