"""Asking a run's machine to save and leave, and ending it when it does not."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial

from runctl.controller.agent_commands import send_stop
from runctl.controller.conclusion import Concluding
from runctl.controller.departures import end_machine, is_ours
from runctl.controller.ports import Commands, Machines, RunStore
from runctl.errors import MachineNotReady, RunctlError
from runctl.model import timing
from runctl.model.attempt import Attempt
from runctl.model.run import Run


def ask_to_leave(
    run: Run,
    attempts: Iterable[Attempt],
    ports: Concluding,
    *,
    commands: Commands,
    at: datetime,
    at_once: bool = False,
) -> None:
    """Ask the trainings of these attempts to save and leave, and set the time at which their machines are ended anyway;
    `at_once` ends them now. What cannot be done for one keeps no other from it: it is raised at last, and asked again.
    """
    ask = leave_now if at_once else _save_and_leave
    steps: list[Callable[[], object]] = [
        partial(ask, run, attempt, runs=ports.runs, machines=ports.machines, commands=commands, at=at)
        for attempt in attempts
    ]
    if steps and not at_once:
        steps.insert(0, lambda: ports.schedules.terminate_at(run.run_id, _ends_at(run, at)))
    faults: list[RunctlError] = []
    for step in steps:
        try:
            step()
        except RunctlError as fault:
            faults.append(fault)
    if faults:
        raise faults[0]


def _save_and_leave(
    run: Run, attempt: Attempt, *, runs: RunStore, machines: Machines, commands: Commands, at: datetime
) -> None:
    """A machine that SSM cannot reach any more cannot be asked, and is ended at once."""
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
