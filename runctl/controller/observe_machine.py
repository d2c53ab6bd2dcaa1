"""Observe a machine: warnings, rebalance recommendations and state changes of EC2 become facts."""

from datetime import datetime, timedelta
from typing import Any

from runctl.controller.agent_commands import send_notice
from runctl.controller.answers import is_current
from runctl.controller.conclusion import Concluding
from runctl.controller.departures import launcher_of, note_sighting, record_departure
from runctl.controller.ports import (
    Bucket,
    Clock,
    Commands,
    Machines,
    Notifications,
    RunStore,
    Schedules,
    TaskTokens,
)
from runctl.controller.reaction import react
from runctl.controller.timeline import event_of_attempt
from runctl.errors import MachineNotReady
from runctl.model.attempt import Attempt, Fact, FactKind
from runctl.model.machine import MachineState
from runctl.model.run import Run
from runctl.model.service_events import MachineEvent, MachineEventKind
from runctl.model.timeline import TimelineEvent, TimelineKind
from runctl.policy import sentences
from runctl.policy.facts import Departure
from runctl.policy.pauses import STOPS, may_rest


def observe_machine(
    event: MachineEvent,
    *,
    runs: RunStore,
    tokens: TaskTokens,
    machines: Machines,
    commands: Commands,
    bucket: Bucket,
    schedules: Schedules,
    notifications: Notifications,
    now: Clock,
) -> dict[str, Any]:
    """Write what EC2 says of a machine of ours; machines of others in the account are dropped after one look-up."""
    owner = runs.attempt_of_machine(event.detail.instance_id)
    if owner is None:
        return {"instance_id": event.detail.instance_id, "outcome": "stranger"}
    run_id, number = owner
    run, attempt = runs.run(run_id), runs.attempt(run_id, number)
    if run is None or attempt is None:
        return {"instance_id": event.detail.instance_id, "outcome": "stranger"}
    at, is_news = now(), False
    match event.kind:
        case MachineEventKind.WARNING:
            is_news = _warned(event, run, attempt, runs=runs, at=at)
        case MachineEventKind.REBALANCE:
            _rebalance(event, run, attempt, runs=runs, at=at)
        case MachineEventKind.STATE_CHANGE:
            _changed(event, attempt, runs=runs, machines=machines, at=at)
    ports = Concluding(runs, machines, bucket, schedules, notifications, now)
    outcome = react(run_id, number, tokens=tokens, ports=ports)
    if is_news:  # only now: another machine is on its way first
        _pass_on(attempt, commands)
    return {"instance_id": event.detail.instance_id, "run_id": run_id, "attempt": number, "outcome": outcome}


def _warned(event: MachineEvent, run: Run, attempt: Attempt, *, runs: RunStore, at: datetime) -> bool:
    """Write the warning; tells whether the machine's agent is to be told."""
    text = f"EC2 warned that it takes the {sentences.machine(attempt)} back in about two minutes."
    fact = Fact(at=event.time, data={"action": event.detail.instance_action})
    timeline = _timeline(run, attempt, FactKind.WARNED, TimelineKind.INTERRUPTION_WARNING, text, at)
    is_news = runs.record_fact(run.run_id, attempt.number, FactKind.WARNED, fact, timeline)
    return is_news and is_current(run, attempt) and attempt.command_id is not None


def _pass_on(attempt: Attempt, commands: Commands) -> None:
    try:
        send_notice(commands, attempt)
    except MachineNotReady:
        # SSM has lost the machine. Its agent looks at the instance metadata itself, and EC2 reports the end.
        return


def _rebalance(event: MachineEvent, run: Run, attempt: Attempt, *, runs: RunStore, at: datetime) -> None:
    text = f"EC2 says that the {sentences.machine(attempt)} is at a higher risk of being taken back."
    timeline = _timeline(run, attempt, FactKind.REBALANCE, TimelineKind.REBALANCE, text, at)
    runs.record_fact(run.run_id, attempt.number, FactKind.REBALANCE, Fact(at=event.time), timeline)


def _timeline(run: Run, attempt: Attempt, fact: FactKind, kind: TimelineKind, text: str, at: datetime) -> TimelineEvent:
    """Tell it at the time of arrival: EventBridge's times are whole seconds and would stand before what led to them."""
    if is_current(run, attempt):
        return event_of_attempt(attempt, kind, at, text)
    return event_of_attempt(attempt, TimelineKind.LATE_EVIDENCE, at, text, detail=fact.value)


def _changed(event: MachineEvent, attempt: Attempt, *, runs: RunStore, machines: Machines, at: datetime) -> None:
    """A machine that is going is asked why: the event itself does not say (EC2 User Guide, "State change events")."""
    state = event.detail.state
    if attempt.launched_at is None or may_rest(attempt):
        _meter(event, attempt, runs=runs, machines=machines, at=at)
    if state is None or not state.is_going or _is_of_an_earlier_use(event, attempt):
        return
    departure = Departure(state=state.value)
    if FactKind.GONE not in attempt.facts:
        view = machines.machine(event.detail.instance_id)
        if view is not None and view.state.is_going:
            departure = Departure.of_view(view)
    record_departure(runs, attempt, departure, event.time, told_at=at)


def _meter(event: MachineEvent, attempt: Attempt, *, runs: RunStore, machines: Machines, at: datetime) -> None:
    """Note the starts and stops of a machine that is kept with the attempt that launched it."""
    view = machines.machine(event.detail.instance_id)
    launcher = attempt if attempt.launched_at is not None or view is None else launcher_of(runs, view)
    if launcher is None or launcher.launched_at is None:
        return
    if view is not None:
        launcher = note_sighting(runs, launcher, view, at)
    if event.detail.state is not None and event.detail.state in STOPS:
        # EC2 may show a later start already.
        record_departure(runs, launcher, Departure(state=event.detail.state.value), event.time, told_at=at)


def _is_of_an_earlier_use(event: MachineEvent, attempt: Attempt) -> bool:
    """Whether a kept machine was stopped before this attempt came to it: then it was started again, and the event is
    late. EventBridge's times are whole seconds."""
    stops = event.detail.state in (MachineState.STOPPING, MachineState.STOPPED)
    return stops and event.time + timedelta(seconds=1) <= attempt.created_at
