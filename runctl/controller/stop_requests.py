"""Asking a run to stop, whoever asks, and doing what the request calls for."""

from datetime import datetime

from runctl.controller.conclusion import Concluding, conclude
from runctl.controller.ports import Commands, RunStore, TaskTokens
from runctl.controller.reaction import react
from runctl.controller.stopping import ask_to_leave
from runctl.controller.timeline import event_of_run
from runctl.model.run import Run, StopRequest
from runctl.model.stop import StopCommand
from runctl.model.timeline import TimelineEvent, TimelineKind
from runctl.policy.hand_over import holds_nothing
from runctl.policy.sentences import stop_requested


def ask(
    command: StopCommand, *, runs: RunStore, at: datetime, why: str = "", extensions: int | None = None
) -> Run | None:
    """Write the stop request; the first one stands, and none is written when the run was extended since `extensions`
    was read. None when the run has ended."""
    request = StopRequest(reason=command.reason, requested_by=command.requested_by, requested_at=at, now=command.now)
    return runs.request_stop(command.run_id, request, _event(request, command, why), extensions=extensions)


def carry_out(
    run: Run, ports: Concluding, *, tokens: TaskTokens, commands: Commands, at: datetime, at_once: bool = False
) -> str:
    """Let a run that was asked to stop save and end; one that holds no machine ends now. Answers a sentence."""
    runs = ports.runs
    # Two machines while one hands over to the other: the one that is being taken back trains, and is asked to save.
    held = [each for each in runs.attempts(run.run_id) if each.reason is None and not holds_nothing(each)]
    if not held:
        conclude(run.run_id, ports)
        return "The run held no machine and has ended."
    busy = [attempt for attempt in held if not attempt.is_settled]
    try:
        ask_to_leave(run, busy, ports, commands=commands, at=at, at_once=at_once)
    finally:  # what could not be asked keeps no waiting state from its answer
        react(run.run_id, run.attempt, tokens=tokens, ports=ports)
    if not busy:
        return "The run's training has ended already; the run is being concluded."
    if at_once:
        return "The run's machine is being ended."
    if all(each.command_id is None for each in held):
        return "The run had not begun to train; its machine is being ended."
    return f"The run was asked to save and end, within {run.spec.save_limit_s} s; then its machine is ended."


def _event(request: StopRequest, command: StopCommand, why: str) -> TimelineEvent:
    text = stop_requested(request) + (" Its machine is ended at once." if request.now else "") + (why and f" {why}")
    event = event_of_run(command.run_id, TimelineKind.STOP_REQUESTED, request.requested_at, text)
    return event.model_copy(update={"event_id": f"{event.event_id}-now"}) if request.now else event
