"""Stop a run: ask it to save and end, end its machine when the time to save is over; look at its limits, raise them."""

from typing import Any

from runctl.controller.conclusion import Concluding
from runctl.controller.extend_run import extend_run
from runctl.controller.limits import enforce_limits
from runctl.controller.loading import load_run
from runctl.controller.ports import (
    Bucket,
    Clock,
    Commands,
    Machines,
    Notifications,
    Prices,
    RunStore,
    Schedules,
    TaskTokens,
)
from runctl.controller.stop_requests import ask, carry_out
from runctl.model.ids import RunId
from runctl.model.stop import StopAction, StopAnswer, StopCommand


def stop_run(
    command: StopCommand,
    *,
    runs: RunStore,
    tokens: TaskTokens,
    machines: Machines,
    prices: Prices,
    commands: Commands,
    bucket: Bucket,
    schedules: Schedules,
    notifications: Notifications,
    now: Clock,
) -> dict[str, Any]:
    """Ask a run to save and end. One that holds no machine ends at once; one that has ended stays as it is.

    Raises NotFoundError when there is no such run, and what `extend_run` raises.
    """
    ports = Concluding(runs, machines, bucket, schedules, notifications, now)
    run = load_run(runs, command.run_id)
    if command.action is StopAction.LIMITS:
        text = enforce_limits(run.run_id, ports, prices=prices, tokens=tokens, commands=commands)
        return _answer(runs, run.run_id, text)
    if command.extension is not None:
        text = extend_run(
            run.run_id,
            command.extension,
            by=command.requested_by,
            runs=runs,
            bucket=bucket,
            schedules=schedules,
            now=now,
        )
        return _answer(runs, run.run_id, text)
    at = now()
    if command.action is StopAction.STOP or run.stop_request is None:
        asked = ask(command, runs=runs, at=at)
        if asked is None:
            return _answer(runs, run.run_id, "The run has ended already.")
        run = asked
    elif run.status.is_terminal:
        return _answer(runs, run.run_id, "The run has ended already.")
    at_once = command.now or command.action is StopAction.TERMINATE
    text = carry_out(run, ports, tokens=tokens, commands=commands, at=at, at_once=at_once)
    return _answer(runs, run.run_id, text)


def _answer(runs: RunStore, run_id: RunId, message: str) -> dict[str, Any]:
    run = load_run(runs, run_id)
    return StopAnswer(run_id=run_id, status=run.status, message=message).model_dump(mode="json")
