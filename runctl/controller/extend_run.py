"""Extend a live run: admit it to what it asks for more, and tell all who stop it at its limits."""

from datetime import datetime, timedelta
from decimal import Decimal

from runctl.controller.limits import look_in_time
from runctl.controller.loading import load_run
from runctl.controller.money import accepted, amount_to_reserve, read_ledgers
from runctl.controller.ports import Bucket, Clock, RunStore, Schedules
from runctl.controller.stale import until_written
from runctl.controller.timeline import event_of_run
from runctl.errors import BudgetExceeded
from runctl.model.budget import Booking
from runctl.model.extension import Extension
from runctl.model.ids import RunId
from runctl.model.job import Limits
from runctl.model.run import Run
from runctl.model.timeline import TimelineKind
from runctl.policy import budget_ledger
from runctl.policy.extending import extended, extension_text
from runctl.policy.runtime import runtime_left


def extend_run(
    run_id: RunId,
    extension: Extension,
    *,
    by: str,
    runs: RunStore,
    bucket: Bucket,
    schedules: Schedules,
    now: Clock,
) -> str:
    """Raise a run's limits, all that are asked for or none; answers a sentence. Repeated, it tells again whoever may
    not have heard.

    Raises InvalidSpec when the run cannot be extended so, BudgetExceeded when a budget has no room for it.
    """
    at = now()
    text = until_written(lambda: _write(run_id, extension, by, runs, at))
    run = load_run(runs, run_id)
    _tell_machines(run, runs=runs, bucket=bucket, at=at)
    look_in_time(run_id, runs=runs, schedules=schedules, at=at, later=True)
    return text


def _write(run_id: RunId, extension: Extension, by: str, runs: RunStore, at: datetime) -> str:
    """Write the limits and reserve the money, in one write."""
    run = load_run(runs, run_id)
    changed = extended(run, extension)
    if changed == run:
        return "The run may use that already."
    booking = _plan(run, changed, runs, at)
    text = extension_text(run, changed, by)
    event = event_of_run(run_id, TimelineKind.EXTENDED, at, text)
    event = event.model_copy(update={"event_id": f"{event.event_id}-{changed.extensions}"})
    runs.save_run(changed.model_copy(update={"updated_at": at}), [event], booking=booking)
    return text


def _plan(run: Run, changed: Run, runs: RunStore, at: datetime) -> Booking | None:
    """Plan to hold more money, under the same rules as a new run; None before its admission, which holds all of it."""
    if changed.spec.max_cost_usd == run.spec.max_cost_usd:
        return None
    reservation = runs.budgets.reservation(run.run_id)
    if reservation is None:
        return None
    ledgers = read_ledgers(runs.budgets, reservation.scopes)
    try:
        return accepted(budget_ledger.extend(reservation, amount_to_reserve(changed) or Decimal(0), ledgers, at))
    except BudgetExceeded as refusal:
        # Of what a function raises the message alone arrives.
        raise BudgetExceeded(f"{refusal.message} {refusal.hint} Nothing was changed.") from refusal


def _tell_machines(run: Run, *, runs: RunStore, bucket: Bucket, at: datetime) -> None:
    """Leave the new time limit for the agents: each looks for it when the time that it knows of is over. After the
    run was written: a hand-off that is written from now on holds the new limit itself."""
    if not run.extensions:
        return
    attempts = runs.attempts(run.run_id)
    for attempt in attempts:
        if attempt.instance_id is None or attempt.is_settled:
            continue
        earlier = [each for each in attempts if each.number < attempt.number]
        left_s = int(runtime_left(run.spec, earlier, at) // timedelta(seconds=1))
        word = Limits(run_id=run.run_id, attempt=attempt.number, max_runtime_s=max(1, left_s))
        bucket.put_limits(attempt.instance_id, word, role_id=attempt.role_id)
