"""Open runs against what is there: what lost events would have led to is done."""

from dataclasses import dataclass
from datetime import datetime

from runctl.controller.conclusion import Concluding, conclude
from runctl.controller.evidence import look_again
from runctl.controller.ports import Commands, Executions, TaskTokens
from runctl.controller.reaction import react
from runctl.controller.ready import record_ready
from runctl.controller.stopping import leave_now
from runctl.controller.taking_over import REASON_OF_STATUS, take_over
from runctl.model import timing
from runctl.model.attempt import Attempt, FactKind, Wait
from runctl.model.run import Run
from runctl.model.sweep import Deed
from runctl.policy.reaping import LIVING, is_overdue, is_stranded


@dataclass(frozen=True)
class Reconciling:
    """What setting a run right needs."""

    ports: Concluding
    executions: Executions
    commands: Commands
    tokens: TaskTokens


def reconcile(run: Run, needs: Reconciling, at: datetime, *, dry_run: bool) -> Deed | None:
    """Do for a run what events would have led to; answers what that was, or None when nothing was amiss.

    The events of services may be lost: their delivery type is "best effort" (Amazon EventBridge Events Reference, "AWS
    Step Functions events", "Amazon EC2 events").
    """
    runs = needs.ports.runs
    status = needs.executions.status(run.run_id)
    if status is not None and status in REASON_OF_STATUS and not run.execution_ended:
        text = f"The execution of run {run.run_id} had ended as {status}, and nobody had been told."
        if not dry_run and take_over(run.run_id, status, at, ports=needs.ports, commands=needs.commands) == "nothing":
            return None
        return Deed(run_id=run.run_id, text=text)
    if is_stranded(run, runs.attempts(run.run_id), status, at):
        if not dry_run:
            conclude(run.run_id, needs.ports)
        return Deed(run_id=run.run_id, text=f"Nothing worked on run {run.run_id} any more; it was concluded.")
    if dry_run:
        return None
    held = [each for each in runs.attempts(run.run_id) if each.reason is None and each.instance_id is not None]
    return _look_after(run, held, needs, at, waits=status in LIVING) if held else None


def _look_whether_ready(attempt: Attempt, needs: Reconciling, at: datetime) -> None:
    """Take SSM's word for a machine whose announcements must all have been lost: by now it has made its last."""
    if Wait.READY not in attempt.tokens or FactKind.READY in attempt.facts or attempt.is_settled:
        return
    launched_at, instance_id = attempt.launched_at, attempt.instance_id
    if launched_at is None or instance_id is None or at - launched_at < timing.READY_ANNOUNCED:
        return
    if needs.commands.is_online(instance_id):
        record_ready(needs.ports.runs, attempt, at)


def _look_after(run: Run, held: list[Attempt], needs: Reconciling, at: datetime, *, waits: bool) -> Deed | None:
    """Look for what a waiting state was not told, and end machines that have had their time to save. There are two
    while one hands over to the other."""
    ports = needs.ports
    overdue: Attempt | None = None
    for attempt in held:
        _look_whether_ready(attempt, needs, at)
        seen, _ = look_again(attempt, runs=ports.runs, machines=ports.machines, bucket=ports.bucket, at=at)
        if is_overdue(run, at) and not seen.is_settled:
            leave_now(run, seen, runs=ports.runs, machines=ports.machines, commands=needs.commands, at=at)
            overdue = seen
    outcome = react(run.run_id, held[0].number, tokens=needs.tokens, ports=ports)
    if outcome == "concluded":
        return Deed(run_id=run.run_id, text=f"Run {run.run_id} had ended and nobody had been told; it was concluded.")
    if outcome == "woken" and waits:
        text = f"Run {run.run_id} waited for something that had happened; its state machine was answered."
        return Deed(run_id=run.run_id, text=text)
    if outcome == "handed over":
        return Deed(run_id=run.run_id, text=f"A machine of run {run.run_id} waited for another that had left.")
    if overdue is not None:
        text = f"The time to save of run {run.run_id} was over; its machine was told to end."
        return Deed(run_id=run.run_id, instance_id=overdue.instance_id, text=text)
    return None
