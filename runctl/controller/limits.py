"""The limits of runs in force: people are told in time, the run saves and stops, and somebody looks again in time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from runctl.controller import notices
from runctl.controller.conclusion import Concluding
from runctl.controller.loading import load_run
from runctl.controller.ports import Commands, Notifications, Prices, RunStore, Schedules, TaskTokens
from runctl.controller.stale import until_written
from runctl.controller.stop_requests import ask, carry_out
from runctl.controller.timeline import event_of_run
from runctl.controller.watch_costs import in_force
from runctl.model.attempt import Attempt
from runctl.model.ids import RunId
from runctl.model.notice import NoticeKind
from runctl.model.run import LimitKind, Run
from runctl.model.stop import StopCommand
from runctl.model.timeline import TimelineKind
from runctl.policy.budget_limits import Near, Reached, check

SOONEST: Final = timedelta(seconds=5)
"""A schedule in the past is refused; one for this moment may be by the time it arrives."""

TOLERANCE: Final = timedelta(seconds=30)
"""A schedule is not moved for less: EventBridge Scheduler is precise to 60 s."""


def enforce_limits(run_id: RunId, ports: Concluding, *, prices: Prices, tokens: TaskTokens, commands: Commands) -> str:
    """Look how a run stands with its limits at the prices in force, and do what follows. Answers a sentence."""
    run = load_run(ports.runs, run_id)
    attempts = in_force(ports.runs.attempts(run_id), prices, ports.now())
    return enforce(run, attempts, ports, tokens=tokens, commands=commands)


def enforce(run: Run, attempts: Sequence[Attempt], ports: Concluding, *, tokens: TaskTokens, commands: Commands) -> str:
    """The same for a run and its attempts as they were read."""
    if run.status.is_terminal:
        return "The run has ended already."
    if run.stop_request is not None:
        return "The run was asked to stop already."
    at = ports.now()
    found = check(run, attempts, at)
    for near in found.near:
        tell(run, near, runs=ports.runs, notifications=ports.notifications, at=at)
    if found.reached is not None:
        return stop_at_limit(
            run, found.reached, ports, tokens=tokens, commands=commands, at=at, extensions=run.extensions
        )
    _look_again(run, found.look_again_at, runs=ports.runs, schedules=ports.schedules, at=at)
    return "The run is within its limits."


def look_in_time(run_id: RunId, *, runs: RunStore, schedules: Schedules, at: datetime, later: bool = False) -> None:
    """Set the moment at which a run's limits are looked at, after something changed what it costs; `later`: also when
    there is time until a later one than was set."""
    run = load_run(runs, run_id)
    if run.status.is_terminal or run.stop_request is not None:
        return
    found = check(run, runs.attempts(run_id), at)
    soon = at if found.reached is not None or found.near else found.look_again_at
    _look_again(run, soon, runs=runs, schedules=schedules, at=at, later=later)


def stop_at_limit(
    run: Run,
    reached: Reached,
    ports: Concluding,
    *,
    tokens: TaskTokens,
    commands: Commands,
    at: datetime,
    by: str = "",
    extensions: int | None = None,
) -> str:
    """Ask the run to save and stop; with `extensions` not when its limit was raised since."""
    command = StopCommand(run_id=run.run_id, reason=reached.reason, requested_by=by)
    asked = ask(command, runs=ports.runs, at=at, why=reached.text, extensions=extensions)
    if asked is None:
        return "The run has ended already."
    if asked.stop_request is None:
        return "The run was extended meanwhile."  # whoever did that looks again
    return carry_out(asked, ports, tokens=tokens, commands=commands, at=at)


def tell(run: Run, near: Near, *, runs: RunStore, notifications: Notifications, at: datetime) -> bool:
    """Tell people once that a limit is near, and how to go on; tells whether it was news."""
    text = f"{near.text} To let it go on: {near.next_step}"
    limit = run.spec.max_cost_usd if near.kind is LimitKind.MONEY else run.spec.max_runtime_s
    kind = NoticeKind.MONEY if near.kind is LimitKind.MONEY else NoticeKind.TIME

    def mark() -> bool:
        current = load_run(runs, run.run_id)
        if near.kind in current.limits_told or current.status.is_terminal:
            return False
        told = (*current.limits_told, near.kind)
        event = event_of_run(run.run_id, TimelineKind.LIMIT_NEAR, at, text)
        event = event.model_copy(update={"event_id": f"{event.event_id}-{near.kind.value}-{limit}"})
        runs.save_run(current.model_copy(update={"limits_told": told, "updated_at": at}), [event])
        return True

    notices.tell(run, kind, text, runs=runs, notifications=notifications, at=at, detail=f"{limit}")
    return until_written(mark)


def _look_again(
    run: Run, wanted: datetime | None, *, runs: RunStore, schedules: Schedules, at: datetime, later: bool = False
) -> None:
    """Set or move the schedule. One that fires too early looks again, so that only an earlier moment must move it."""
    if wanted is None:
        return
    wanted = max(wanted, at + SOONEST)
    known = run.limits_looked_at
    if not later and known is not None and at < known <= wanted + TOLERANCE:
        return
    schedules.look_at(run.run_id, wanted)

    def write() -> None:
        current = load_run(runs, run.run_id)
        if not current.status.is_terminal:
            runs.save_run(current.model_copy(update={"limits_looked_at": wanted}))

    until_written(write)
