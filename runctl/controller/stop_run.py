"""Stop a run: ask it to save and end, or end its machine when the time to save is over."""

from datetime import datetime
from typing import Any

from runctl.controller.conclusion import Concluding, conclude
from runctl.controller.loading import load_run
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
from runctl.controller.stopping import leave_now, save_and_leave
from runctl.controller.timeline import event_of_run
from runctl.model.ids import RunId
from runctl.model.run import Run, StopRequest
from runctl.model.stop import StopAction, StopAnswer, StopCommand
from runctl.model.timeline import TimelineEvent, TimelineKind
from runctl.policy.hand_over import holds_nothing
from runctl.policy.sentences import stop_requested


def stop_run(
    command: StopCommand,
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
    """Ask a run to save and end. One that holds no machine ends at once; one that has ended stays as it is.

    Raises NotFoundError when there is no such run.
    """
    run = load_run(runs, command.run_id)
    at = now()
    if command.action is StopAction.STOP or run.stop_request is None:
        asked = _ask(command, run, runs=runs, at=at)
        if asked is None:
            return _answer(runs, run.run_id, "The run has ended already.")
        run = asked
    elif run.status.is_terminal:
        return _answer(runs, run.run_id, "The run has ended already.")
    ports = Concluding(runs, machines, bucket, schedules, notifications, now)
    # Two machines while one hands over to the other: the one that is being taken back trains, and is asked to save.
    held = [each for each in runs.attempts(run.run_id) if each.reason is None and not holds_nothing(each)]
    if not held:
        conclude(run.run_id, ports)
        return _answer(runs, run.run_id, "The run held no machine and has ended.")
    text = "The run's training has ended already; the run is being concluded."
    for attempt in held:
        if attempt.is_settled:
            continue
        if command.now or command.action is StopAction.TERMINATE:
            leave_now(run, attempt, runs=runs, machines=machines, commands=commands, at=at)
            text = "The run's machine is being ended."
        else:
            save_and_leave(run, attempt, runs=runs, machines=machines, commands=commands, schedules=schedules, at=at)
            text = (
                "The run had not begun to train; its machine is being ended."
                if all(each.command_id is None for each in held)
                else f"The run was asked to save and end, within {run.spec.save_limit_s} s; then its machine is ended."
            )
    react(run.run_id, run.attempt, tokens=tokens, ports=ports)
    return _answer(runs, run.run_id, text)


def _ask(command: StopCommand, run: Run, *, runs: RunStore, at: datetime) -> Run | None:
    request = StopRequest(reason=command.reason, requested_by=command.requested_by, requested_at=at, now=command.now)
    return runs.request_stop(run.run_id, request, _event(request, command))


def _event(request: StopRequest, command: StopCommand) -> TimelineEvent:
    text = stop_requested(request) + (" Its machine is ended at once." if request.now else "")
    event = event_of_run(command.run_id, TimelineKind.STOP_REQUESTED, request.requested_at, text)
    return event.model_copy(update={"event_id": f"{event.event_id}-now"}) if request.now else event


def _answer(runs: RunStore, run_id: RunId, message: str) -> dict[str, Any]:
    run = load_run(runs, run_id)
    return StopAnswer(run_id=run_id, status=run.status, message=message).model_dump(mode="json")
