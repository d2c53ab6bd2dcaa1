"""Asking a run's machine to save and leave, and ending it when it does not."""

from datetime import datetime, timedelta

from runctl.controller.agent_commands import send_stop
from runctl.controller.departures import end_machine, is_ours
from runctl.controller.ports import Commands, Machines, RunStore, Schedules
from runctl.errors import MachineNotReady
from runctl.model import timing
from runctl.model.attempt import Attempt
from runctl.model.run import Run


def save_and_leave(
    run: Run,
    attempt: Attempt,
    *,
    runs: RunStore,
    machines: Machines,
    commands: Commands,
    schedules: Schedules,
    at: datetime,
) -> None:
    """Set the time at which the machine is ended anyway, then ask the training to save and leave.

    A machine that SSM cannot reach any more cannot be asked, and is ended at once.
    """
    schedules.terminate_at(run.run_id, _ends_at(run, at))
    if attempt.command_id is None:
        # The start command is on its way; whoever sends it looks for the stop request afterwards.
        return
    try:
        send_stop(commands, attempt)
    except MachineNotReady:
        end_machine(run, attempt, runs=runs, machines=machines, at=at)


def _ends_at(run: Run, at: datetime) -> datetime:
    """When the time to save is over. It counts from the first request, so that asking again does not lengthen it."""
    asked_at = at if run.stop_request is None else run.stop_request.requested_at
    return max(asked_at + timedelta(seconds=run.spec.save_limit_s), at) + timing.STOP_MARGIN


def leave_now(
    run: Run, attempt: Attempt, *, runs: RunStore, machines: Machines, commands: Commands, at: datetime
) -> None:
    """End the attempt's machine; on a machine that a user gave, only the training."""
    if is_ours(run, attempt):
        end_machine(run, attempt, runs=runs, machines=machines, at=at)
    elif attempt.command_id is not None:
        send_stop(commands, attempt, now=True)
