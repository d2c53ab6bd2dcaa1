"""What follows the end of an attempt: another launch, a wait, or the run's conclusion (the table of DESIGN §4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from runctl.model.attempt import Attempt, FactKind
from runctl.model.decision import Action
from runctl.model.ids import AttemptNumber
from runctl.model.run import CapacityWait, Run, StopRequest
from runctl.model.status import Reason
from runctl.policy import capacity, sentences
from runctl.policy.budget_limits import has_money_for_another
from runctl.policy.endings import Ending
from runctl.policy.extending import was_extended_since
from runctl.policy.facts import taken_back_at
from runctl.policy.runtime import WORTHWHILE, runtime_left

MAX_LOST_IN_A_ROW: Final = 3
MAX_WITHOUT_PROGRESS: Final = 3
FALLBACK_AFTER: Final = timedelta(minutes=10)
"""How long spot pools may refuse before a run with `fallback` launches on demand."""
FALLBACK_INTERRUPTIONS: Final = 2
FALLBACK_WITHIN: Final = timedelta(hours=1)
"""That many interruptions within this time lead to on-demand machines too."""

USERS_OWN: Final = frozenset({Reason.USER_ERROR, Reason.SETUP_FAILED, Reason.OUT_OF_MEMORY, Reason.CHECKPOINT_MISSING})
"""Tried again only as often as the spec asks."""
MACHINES_FAULT: Final = frozenset({Reason.MACHINE_LOST, Reason.MACHINE_NOT_READY})
LAUNCH_AGAIN: Final = MACHINES_FAULT | {Reason.SPOT_INTERRUPTION, Reason.NO_PROGRESS}
NOT_AN_END: Final = LAUNCH_AGAIN | {Reason.CAPACITY, Reason.QUOTA}
"""Reasons of an attempt after which a run may go on; alone they end no run."""


@dataclass(frozen=True)
class Situation:
    """What the decision rests on. `attempts` are all of the run, the ended one last, with its reason in `ending`."""

    run: Run
    attempts: Sequence[Attempt]
    ending: Ending
    progressed: frozenset[AttemptNumber] = frozenset()
    """Attempts that saved a newer checkpoint than all before."""
    refusals: tuple[str, ...] = ()
    """What AWS answered when no machine was launched."""
    overlap_affordable: bool = True
    """Whether the budget has room for the replacement beside a machine that is being taken back."""
    own_machine_going: bool = False
    """Whether a machine of this run's earlier attempts still holds its quota while it goes."""


@dataclass(frozen=True)
class RecoveryDecision:
    """What to do, why, and the sentence for people."""

    action: Action
    reason: Reason
    text: str
    delay: timedelta = timedelta()
    capacity_wait: CapacityWait | None = None
    tell: bool = False
    fell_back_at: datetime | None = None
    """From when on the run launches on demand; None when nothing changes."""


def decide(situation: Situation, now: datetime) -> RecoveryDecision:
    """Decide what follows the end of the last attempt."""
    run, ending = situation.run, situation.ending
    if ending.reason is Reason.COMPLETED:
        return _conclude(Reason.COMPLETED, ending.text)
    if run.stop_request is not None:
        return _conclude(run.stop_request.reason, _stopped(run.stop_request, ending))
    if ending.is_passing:
        return _wait_for_aws(situation, now)
    if ending.reason is Reason.CAPACITY:
        return _wait_for_capacity(situation, now)
    if ending.reason is Reason.QUOTA:
        return _wait_for_quota(situation, now)
    if ending.reason in USERS_OWN:
        return _retry(situation, now)
    if ending.reason in LAUNCH_AGAIN:
        return _replace(situation, now)
    if ending.reason is Reason.TIMEOUT and was_extended_since(run, situation.attempts, now):
        return _launch(situation, now, "The run was extended meanwhile.")
    return _conclude(ending.reason, ending.text)


def _conclude(reason: Reason, text: str) -> RecoveryDecision:
    return RecoveryDecision(Action.CONCLUDE, reason, text)


def _stopped(request: StopRequest, ending: Ending) -> str:
    asked = sentences.stop_requested(request)
    return asked if ending.text == asked else f"{asked} {ending.text}"


def _wait_for_capacity(situation: Situation, now: datetime) -> RecoveryDecision:
    run = situation.run
    timeout = timedelta(seconds=run.spec.capacity_timeout_s)
    planned = capacity.next_try(run.capacity_wait, situation.refusals, timeout, now)
    if planned is not None and _may_fall_back(run):
        limit = planned.wait.waiting_since + FALLBACK_AFTER
        if now + planned.delay >= limit:
            return _fall_back_after_refusals(situation, capacity.no_later_than(planned, limit, now))
    if planned is None:
        waited = "" if run.capacity_wait is None else sentences.duration(now - run.capacity_wait.waiting_since)
        text = f"AWS had no machine for {waited}. {situation.ending.text}" if waited else situation.ending.text
        return _conclude(Reason.CAPACITY, text)
    waiting = now - planned.wait.waiting_since
    text = f"AWS has no machine now; the next try is in {sentences.duration(planned.delay)}"
    if waiting:
        text += f", after {sentences.duration(waiting)} of waiting"
    return _wait(planned, Reason.CAPACITY, f"{text}. {situation.ending.text}")


def _wait_for_aws(situation: Situation, now: datetime) -> RecoveryDecision:
    """Wait like for capacity, within the same deadline: nothing has ended, and what failed may be made again."""
    run, text = situation.run, situation.ending.text
    timeout = timedelta(seconds=run.spec.capacity_timeout_s)
    planned = capacity.next_try(run.capacity_wait, (text,), timeout, now)
    if planned is None:
        return _conclude(Reason.CAPACITY, f"{text} It was tried again for {sentences.duration(timeout)}.")
    return _wait(planned, Reason.CAPACITY, f"{text} The next try is in {sentences.duration(planned.delay)}.")


def _wait_for_quota(situation: Situation, now: datetime) -> RecoveryDecision:
    had = situation.run.capacity_wait is not None and situation.run.capacity_wait.waited_for_quota
    if had or not situation.own_machine_going:
        if _may_fall_back(situation.run):  # the quota for spot machines is another than that for on-demand ones
            return _wait_for_capacity(situation, now)
        return _conclude(Reason.QUOTA, situation.ending.text)
    planned = capacity.wait_for_quota(situation.run.capacity_wait, situation.refusals, now)
    text = f"The run's last machine still holds its quota; the next try is in {sentences.duration(planned.delay)}."
    return _wait(planned, Reason.QUOTA, text)


def _wait(planned: capacity.WaitForCapacity, reason: Reason, text: str) -> RecoveryDecision:
    return RecoveryDecision(
        Action.WAIT, reason, text, delay=planned.delay, capacity_wait=planned.wait, tell=planned.tell
    )


def _retry(situation: Situation, now: datetime) -> RecoveryDecision:
    earlier = sum(attempt.reason in USERS_OWN for attempt in situation.attempts[:-1])
    allowed = situation.run.spec.retries
    codes, code = situation.run.spec.retry_exit_codes, situation.ending.exit_code
    if earlier >= allowed or (codes and code not in codes):
        return _conclude(situation.ending.reason, situation.ending.text)
    return _launch(situation, now, f"This is retry {earlier + 1} of {allowed}.")


def _replace(situation: Situation, now: datetime) -> RecoveryDecision:
    ending = situation.ending
    if situation.run.machine is not None:
        return _conclude(ending.reason, f"{ending.text} The machine was given, so no other is launched.")
    if ending.reason in MACHINES_FAULT:
        lost = _in_a_row([attempt.reason in MACHINES_FAULT for attempt in situation.attempts[:-1]]) + 1
        if lost >= MAX_LOST_IN_A_ROW:
            return _conclude(ending.reason, f"{ending.text} This was the machine number {lost} in a row.")
    idle = _without_progress(situation)
    if idle >= MAX_WITHOUT_PROGRESS:
        text = f"{idle} attempts in a row trained without a newer checkpoint. The last one: {ending.text}"
        return _conclude(Reason.NO_PROGRESS, text)
    return _launch(situation, now, "")


def _launch(situation: Situation, now: datetime, note: str) -> RecoveryDecision:
    left = runtime_left(situation.run.spec, situation.attempts, now)
    if left < WORTHWHILE:
        limit = sentences.duration(timedelta(seconds=situation.run.spec.max_runtime_s))
        return _conclude(Reason.TIMEOUT, f"The run's time limit of {limit} is used up. {situation.ending.text}")
    if not has_money_for_another(situation.run, situation.attempts, now):
        return _conclude(
            Reason.BUDGET, f"What is left of its money is not worth another machine. {situation.ending.text}"
        )
    last = situation.attempts[-1]
    if last.hands_over and not situation.overlap_affordable:
        return _wait_for_its_end(situation, last, now)
    fell_back_at = now if _may_fall_back(situation.run) and _interruptions(situation, now) else None
    if fell_back_at is not None:
        note = f"{note} {FALLBACK_INTERRUPTIONS} spot machines were taken back within an hour: {_ON_DEMAND}".strip()
    text = " ".join(part for part in (situation.ending.text, note, _resumes(situation)) if part)
    return RecoveryDecision(
        Action.LAUNCH,
        situation.ending.reason,
        text,
        tell=fell_back_at is not None,
        fell_back_at=fell_back_at,
    )


_ON_DEMAND: Final = "from now on the run launches on demand, at the on-demand price."


def _may_fall_back(run: Run) -> bool:
    return run.spec.fallback and run.fell_back_at is None


def _interruptions(situation: Situation, now: datetime) -> bool:
    """Whether EC2 took back as many spot machines within the hour as lead to on-demand ones."""
    taken = [taken_back_at(attempt) for attempt in situation.attempts[:-1]]
    if situation.ending.reason is Reason.SPOT_INTERRUPTION:
        taken.append(now)
    recent = [at for at in taken if at is not None and now - at <= FALLBACK_WITHIN]
    return len(recent) >= FALLBACK_INTERRUPTIONS


def _fall_back_after_refusals(situation: Situation, planned: capacity.WaitForCapacity) -> RecoveryDecision:
    minutes = sentences.duration(FALLBACK_AFTER)
    text = (
        f"Spot pools have refused for nearly {minutes}; the next try is in {sentences.duration(planned.delay)}, and"
        f" {_ON_DEMAND} {situation.ending.text}"
    )
    return RecoveryDecision(
        Action.WAIT,
        situation.ending.reason,
        text,
        delay=planned.delay,
        capacity_wait=planned.wait,
        tell=True,
        fell_back_at=planned.wait.next_try_at,
    )


def _wait_for_its_end(situation: Situation, last: Attempt, now: datetime) -> RecoveryDecision:
    """Launch only when EC2 has taken the machine back: two at once would cost more than the budget has left."""
    delay = capacity.whole_seconds(last.facts[FactKind.WARNED].at + capacity.QUOTA_WAIT - now)
    text = (
        f"{situation.ending.text} The budget has no room for two machines at once; another is launched in"
        f" {sentences.duration(delay)}."
    )
    return RecoveryDecision(Action.WAIT, situation.ending.reason, text, delay=delay)


def _resumes(situation: Situation) -> str:
    checkpoint, earlier = situation.run.checkpoint, situation.run.resumed_from
    if checkpoint is None and earlier is not None:
        step = earlier.name if earlier.step is None else f"step {earlier.step}"
        return f"Another machine resumes from {step} of run {earlier.run_id}."
    if situation.attempts[-1].hands_over:
        return "Another machine is made ready while this one saves and leaves."
    if checkpoint is None:
        return "Another machine starts from the beginning: there is no checkpoint yet."
    where = f"step {checkpoint.step}" if checkpoint.step is not None else checkpoint.name
    return f"Another machine resumes from {where}."


def _without_progress(situation: Situation) -> int:
    """How many attempts in a row, the last one included, trained without a newer checkpoint.

    Attempts that never came to train are left out: they had no chance. One that saved and left unasked counts even
    when it saved something new.
    """
    marks: list[bool] = []
    for attempt in situation.attempts:
        is_last = attempt.number == situation.attempts[-1].number
        reason = situation.ending.reason if is_last else attempt.reason
        if reason is Reason.NO_PROGRESS:
            marks.append(True)
        elif FactKind.STARTED in attempt.facts and not attempt.hands_over:  # that one may still save
            marks.append(attempt.number not in situation.progressed)
    return _in_a_row(marks)


def _in_a_row(marks: Sequence[bool]) -> int:
    """How many True stand at the end."""
    count = 0
    for mark in reversed(marks):
        if not mark:
            break
        count += 1
    return count
