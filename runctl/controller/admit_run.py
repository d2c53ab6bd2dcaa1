"""Admit a run: check that it may begin, reserve what it may cost, and create its first attempt."""

import secrets
from decimal import Decimal
from typing import Any, Final

from runctl.controller.loading import load_open_run
from runctl.controller.money import plan_admission
from runctl.controller.ports import Clock, RunStore
from runctl.controller.stale import until_written
from runctl.controller.timeline import event_of_attempt
from runctl.errors import InvalidSpec, StopRequested
from runctl.model.attempt import Attempt
from runctl.model.decision import StepState
from runctl.model.ids import InstanceId, RunId
from runctl.model.run import Run
from runctl.model.status import RunStatus
from runctl.model.timeline import TimelineKind
from runctl.policy.cost import usd
from runctl.policy.sentences import stop_requested

SECRET_BYTES: Final = 32


def admit_run(state: StepState, *, runs: RunStore, now: Clock) -> dict[str, Any]:
    """Admit a run; a repeated invocation changes nothing.

    Raises RunEnded for a run that has ended (a redrive), StopRequested for one that was cancelled before it began,
    BudgetExceeded for one that a budget has no room for, and InvalidSpec when the machine that was given to it trains
    another.
    """
    run = until_written(lambda: _admitted(state, runs, now))
    return {"run_id": run.run_id, "status": run.status.value, "attempt": run.attempt}


def _admitted(state: StepState, runs: RunStore, now: Clock) -> Run:
    run = load_open_run(runs, state.run_id)
    if run.stop_request is not None:
        raise StopRequested(stop_requested(run.stop_request))
    if run.attempt != 0:
        return run
    at = now()
    if run.machine is not None:
        _claim(run.machine, run.run_id, runs)
    booking = plan_admission(run, runs.budgets, at)
    attempt = Attempt(
        run_id=run.run_id,
        number=state.attempt,
        created_at=at,
        secret=secrets.token_hex(SECRET_BYTES),
        instance_id=run.machine,
    )
    admitted = run.model_copy(
        update={
            "status": RunStatus.PROVISIONING,
            "attempt": attempt.number,
            "message": "The run was admitted; a machine is being launched.",
            "updated_at": at,
        }
    )
    held = booking.reservation.amount_usd if booking.reservation is not None else Decimal(0)
    where = "" if run.machine is None else f" for machine {run.machine}"
    text = f"The run was admitted{where}" + (f"; {usd(held)} is reserved for it." if held else ".")
    event = event_of_attempt(attempt, TimelineKind.ADMITTED, at, text, data={"reserved_usd": float(held)})
    return runs.begin_attempt(admitted, attempt, [event], booking=booking)


def _claim(instance_id: InstanceId, run_id: RunId, runs: RunStore) -> None:
    """Take the machine; a run that has ended needs not give it back. The one that launched it has it until its end."""
    newest = runs.attempt_of_machine(instance_id)
    if newest is not None:
        _refuse_while_open(instance_id, newest[0], run_id, runs)
    holder = runs.claim_machine(instance_id, run_id)
    if holder != run_id:
        _refuse_while_open(instance_id, holder, run_id, runs)
        holder = runs.claim_machine(instance_id, run_id, held_by=holder)
    if holder != run_id:
        raise _busy(instance_id, holder)


def _refuse_while_open(instance_id: InstanceId, holder: RunId, run_id: RunId, runs: RunStore) -> None:
    run = None if holder == run_id else runs.run(holder)
    if run is not None and not run.status.is_terminal:
        raise _busy(instance_id, holder)


def _busy(instance_id: InstanceId, holder: RunId) -> InvalidSpec:
    return InvalidSpec(
        f"The machine {instance_id} is busy with run {holder}.",
        hint=f"Wait for it: runctl wait {holder}; or let it save and end: runctl cancel {holder}",
    )
