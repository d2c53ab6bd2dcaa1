"""Whether reasons are right: the simulation knows what it did, and says which reasons that allows and which it demands.

Nothing here asks the policy: the tables are written a second time, from docs/architecture.md.
"""

from collections.abc import Iterator
from typing import Final

from runctl.model.attempt import Attempt
from runctl.model.run import PurchaseOption, Run
from runctl.model.status import Reason
from tests.chaos.truth import MachineTruth, RunTruth

SLACK_S: Final = 400.0
"""A decision may rest on what was so when its function began, and be written this much later."""

NEAR_LIMIT: Final = 0.75
"""A run saves and stops when four fifths of its money are used, at the earliest."""

_WANT: Final = {"InsufficientInstanceCapacity", "UnfulfillableCapacity", "InsufficientFreeAddressesInSubnet"}
_QUOTA: Final = {"MaxSpotInstanceCountExceeded", "VcpuLimitExceeded"}
_PERMISSION: Final = {"UnauthorizedOperation"}
_STOPPING: Final = {Reason.CANCELLED, Reason.TIMEOUT, Reason.CONTROLLER, Reason.BUDGET}


def wrong_reasons(
    run: Run, attempts: tuple[Attempt, ...], truth: RunTruth, machines: list[MachineTruth], now: float
) -> Iterator[str]:
    """Tell every reason, of the run and of its attempts, that what happened does not allow."""
    by_attempt = {machine.attempt: machine for machine in machines}
    for attempt in attempts:
        machine = by_attempt.get(attempt.number)
        if attempt.reason is None:
            yield f"attempt {attempt.number} has no reason"
            continue
        ended_at = None if attempt.ended_at is None else (attempt.ended_at - run.created_at).total_seconds()
        ended = now if ended_at is None else ended_at + truth.submitted_at
        # An attempt that an earlier machine made needless in the hand-over ends as that one did.
        earlier = [each for each in machines if each.attempt < attempt.number and each.warned_at is not None]
        needless = machine is None or machine.started_at is None
        if needless and any(_may(attempt.reason, run, truth, each, ended) for each in earlier):
            continue
        yield from _of_attempt(attempt.number, attempt.reason, run, truth, machine, ended)
    yield from _of_run(run, attempts, truth, machines)


def _of_attempt(
    number: int, reason: Reason, run: Run, truth: RunTruth, machine: MachineTruth | None, ended: float
) -> Iterator[str]:
    if not _may(reason, run, truth, machine, ended):
        yield f"attempt {number} ended as {reason}, and nothing of that kind happened to it"
        return
    if machine is None:
        return
    reported = machine.reported_at is not None and machine.reported_at < ended - SLACK_S
    if reported and machine.why == "exited" and machine.exit_code == 0 and reason is not Reason.COMPLETED:
        yield f"attempt {number} ended as {reason}, and its training had reported success"
    if (
        reported
        and machine.why == "exited"
        and machine.exit_code not in (0, 75, None)
        and reason
        not in (
            Reason.USER_ERROR,
            Reason.OUT_OF_MEMORY,
        )
    ):
        yield f"attempt {number} ended as {reason}, and its training had failed with {machine.exit_code}"
    unreported = machine.reported_at is None
    only_taken = (
        machine.taken_at is not None
        and machine.taken_at < ended - SLACK_S
        and ended < machine.taken_at + 3_000
        and machine.silent_from is None
        and not machine.never_ready
        and not machine.command_failed
    )
    if unreported and only_taken and reason in (Reason.MACHINE_LOST, Reason.MACHINE_NOT_READY, Reason.USER_ERROR):
        yield f"attempt {number} ended as {reason}, and EC2 had taken its machine back"


def _may(reason: Reason, run: Run, truth: RunTruth, machine: MachineTruth | None, ended: float) -> bool:
    """Whether something happened that the reason stands for."""
    stopped = run.stop_request is not None and run.stop_request.reason is reason and _was_stopped(reason, truth)
    if stopped:
        return True
    broken = any(at <= ended + SLACK_S for at, _, _ in truth.broken_steps) or not truth.started
    codes = {code for at, code in truth.refusals if at <= ended + SLACK_S}
    if reason is Reason.CONTROLLER:
        return broken
    if reason in (Reason.CAPACITY, Reason.QUOTA, Reason.PERMISSION):
        of_kind = {Reason.CAPACITY: _WANT, Reason.QUOTA: _QUOTA, Reason.PERMISSION: _PERMISSION}[reason]
        was_refused = machine is not None and machine.refused_at is not None and reason is Reason.CAPACITY
        return bool(codes & of_kind) or was_refused
    if machine is None:
        return False
    why, code = machine.why, machine.exit_code
    match reason:
        case Reason.COMPLETED:
            return why == "exited" and code == 0
        case Reason.USER_ERROR:
            return why == "exited" and code not in (0, 75)
        case Reason.OUT_OF_MEMORY | Reason.SETUP_FAILED | Reason.CHECKPOINT_MISSING:
            return why == reason.value.lower()
        case Reason.NO_PROGRESS:
            return machine.left_by_itself
        case Reason.TIMEOUT:
            return why == "deadline" or _trained_too_long(run, machine, ended)
        case Reason.SPOT_INTERRUPTION:
            return machine.warned_at is not None
        case Reason.MACHINE_LOST:
            return _was_lost(machine)
        case Reason.MACHINE_NOT_READY:
            return _was_not_ready(run, machine)
        case _:
            return False


def _was_stopped(reason: Reason, truth: RunTruth) -> bool:
    match reason:
        case Reason.CANCELLED:
            return bool(truth.cancelled_at) or truth.aborted_at is not None
        case Reason.TIMEOUT:
            return truth.timed_out_at is not None
        case Reason.CONTROLLER:
            return bool(truth.broken_steps)
        case Reason.BUDGET:
            return True  # whether that much was spent is asked of the run
        case _:
            return False


def _was_lost(machine: MachineTruth) -> bool:
    """Whether the machine died otherwise than by EC2's taking it back, or nothing was heard of it."""
    return any(
        (
            machine.lost_at is not None,
            machine.deleted_at is not None,
            machine.refused_at is not None,
            machine.silent_from is not None,
            machine.why == "dead_man",
            machine.powered_off_at is not None,
            machine.command_failed,
            machine.never_ready,
        )
    )


def _was_not_ready(run: Run, machine: MachineTruth) -> bool:
    late = machine.announced_at is None or machine.announced_at > machine.launched_at + run.spec.ready_timeout_s - 60
    return any(
        (
            machine.never_ready,
            machine.command_failed,
            late,
            not machine.was_heard,
            machine.unreachable_at is not None,
            machine.silent_from is not None,
        )
    )


def _trained_too_long(run: Run, machine: MachineTruth, ended: float) -> bool:
    if machine.started_at is None:
        return False
    return ended - machine.launched_at >= run.spec.max_runtime_s * 0.95 - 5


def cost_usd(run: Run, attempts: tuple[Attempt, ...]) -> float:
    """What the machines of a run have cost while it went on, as far as was known then: that a spot machine is free is
    known later, and a machine that died is charged until EC2 says so."""
    settled = [attempt.settlement for attempt in attempts if attempt.settlement is not None]
    charged = sum(max(60.0, (each.charged_until - each.charged_from).total_seconds()) for each in settled)
    return charged * usd_per_hour(run) / 3_600


def usd_per_hour(run: Run) -> float:
    """What a machine of the run costs an hour: tests/fakes/services.py, 100 GiB and an address."""
    price = 0.04 if run.spec.purchase_option is PurchaseOption.SPOT else 0.10
    return price + 100 * 0.08 / 730 + 0.005


def _of_run(run: Run, attempts: tuple[Attempt, ...], truth: RunTruth, machines: list[MachineTruth]) -> Iterator[str]:
    reasons = [attempt.reason for attempt in attempts]
    reason = run.reason
    if reason is None:
        yield "the run has ended without a reason"
        return
    if (Reason.COMPLETED in reasons) is not (reason is Reason.COMPLETED):
        yield f"the run ended as {reason}, its attempts as {', '.join(map(str, reasons))}"
    heard = [at for at in truth.cancel_heard_at if truth.ended_at is not None and at < truth.ended_at - 1]
    if heard and reason not in _STOPPING | {Reason.COMPLETED}:
        yield f"the run ended as {reason}, and somebody had been told that it is being cancelled"
    if reason is Reason.SPOT_INTERRUPTION:
        yield "the run ended as SPOT_INTERRUPTION, which alone ends no run"
    if reason in (Reason.MACHINE_LOST, Reason.MACHINE_NOT_READY):
        row = [each in (Reason.MACHINE_LOST, Reason.MACHINE_NOT_READY) for each in reasons[-3:]]
        if row != [True] * 3 and not truth.broken_steps and truth.aborted_at is None and truth.timed_out_at is None:
            yield f"the run ended as {reason} after {', '.join(map(str, reasons))}"
    if reason is Reason.NO_PROGRESS and len(reasons) < 3:
        yield f"the run ended as NO_PROGRESS after {len(reasons)} attempts"
    if reason is Reason.CAPACITY:
        limit = run.spec.capacity_timeout_s
        refused = [at for at, code in truth.refusals if code in _WANT | _QUOTA]
        refused += [each.refused_at for each in machines if each.refused_at is not None]
        if truth.ended_at is not None and refused and truth.ended_at - min(refused) < limit - 2:
            yield f"the run ended as CAPACITY {truth.ended_at - min(refused):.0f} s after the first refusal"
    limit_usd = run.spec.max_cost_usd
    if reason is Reason.BUDGET and (limit_usd is None or cost_usd(run, attempts) < float(limit_usd) * NEAR_LIMIT):
        yield f"the run ended as BUDGET, has cost {cost_usd(run, attempts):.4f} and may cost {limit_usd}"
    if reason is Reason.CANCELLED and not truth.cancelled_at and truth.aborted_at is None:
        yield "the run ended as CANCELLED, and nobody had cancelled it"
    if reason is Reason.CONTROLLER and not truth.broken_steps and truth.started:
        yield "the run ended as CONTROLLER, and no function was kept from its work"
