"""Which machines no run owns, and which runs wait for something that was lost. What the reaper does about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from runctl.model import timing
from runctl.model.attempt import Attempt
from runctl.model.base import clock_text
from runctl.model.machine import MachineState, MachineView
from runctl.model.names import Tag
from runctl.model.run import PurchaseOption, Run
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason

LIVING = (ExecutionStatus.RUNNING, ExecutionStatus.PENDING_REDRIVE)


class Verdict(StrEnum):
    """What becomes of a machine that was seen."""

    KEEP = "keep"
    STRIKE = "strike"
    """No run owns it. It is ended if that is still so at a later look."""
    END = "end"
    STOP = "stop"
    """It is kept and idle: its disk stays, and it can be started again."""


@dataclass(frozen=True)
class Sighting:
    """A machine, and what the table knows of it."""

    view: MachineView
    run: Run | None
    attempts: Sequence[Attempt] = ()
    """Of the run."""
    struck_at: datetime | None = None
    """Since when it has been seen without an owner, look after look."""
    is_confirmed: bool = False
    """Whether a person has seen it without an owner and wants it ended: that counts as an earlier look."""
    last_use: tuple[Run, Attempt] | None = None
    """Of a machine that is kept: the newest run on it, and its attempt there."""

    @property
    def is_kept(self) -> bool:
        """Whether its run asked to keep it and ended well; from then on trainings come and go."""
        return self.run is not None and self.run.spec.keep_machine_s is not None and self.run.reason is Reason.COMPLETED


@dataclass(frozen=True)
class Judgement:
    """The verdict and why, as a clause: "its run has ended"."""

    verdict: Verdict
    why: str


def judge(sighting: Sighting, stack_name: str, now: datetime) -> Judgement:
    """Judge one machine. Whoever is in doubt is kept: a machine too many costs money, one too few costs work.

    An owner is looked for only past the grace, for a launch whose answer has not been stored yet looks like a stray.
    """
    view = sighting.view
    if view.tags.get(Tag.STACK) != stack_name or not stack_name:
        return Judgement(Verdict.KEEP, "it belongs to another deployment")
    if Tag.PROTECTED in view.tags:
        return Judgement(Verdict.KEEP, f"it carries the tag {Tag.PROTECTED}")
    if view.state.is_final:
        return Judgement(Verdict.KEEP, "it is going")
    if view.launched_at is None or now - view.launched_at < timing.REAPER_GRACE:
        return Judgement(Verdict.KEEP, "it is young")
    if sighting.run is not None and sighting.is_kept:
        judgement = _judge_kept(sighting, sighting.run, now)
        if judgement.verdict is not Verdict.END:
            return judgement
        why = judgement.why
    else:
        why = _why_nobody_owns(sighting)
    if not why:
        return Judgement(Verdict.KEEP, "its run goes on")
    if sighting.is_confirmed:
        return Judgement(Verdict.END, why)
    if sighting.struck_at is None or now - sighting.struck_at < timing.REAPER_SECOND_LOOK:
        return Judgement(Verdict.STRIKE, why)
    return Judgement(Verdict.END, why)


def is_kept(run: Run, now: datetime) -> bool:
    """Whether somebody keeps the machine that an ended run launched: as long as it was asked for, and until the reaper,
    which ends it then and stops it when it is idle, must have told people of it."""
    until = run.kept_until
    return until is not None and run.reason is Reason.COMPLETED and now < until + timing.REAPER_GRACE


def _judge_kept(sighting: Sighting, run: Run, now: datetime) -> Judgement:
    """Judge a machine that somebody keeps: never while a run trains on it, and not beyond its time. An idle one is
    stopped; a one-time spot machine cannot be (EC2 User Guide, "Stop a Spot Instance"), and is ended."""
    view = sighting.view
    if sighting.last_use is not None and not sighting.last_use[0].status.is_terminal:
        return Judgement(Verdict.KEEP, f"run {sighting.last_use[0].run_id} trains on it")
    until = run.kept_until or run.created_at
    if now >= until:
        return Judgement(Verdict.END, f"it was to be kept until {clock_text(until)}")
    if view.state is not MachineState.RUNNING:
        return Judgement(Verdict.KEEP, f"it is {view.state} and kept")
    ended_at = None if sighting.last_use is None else sighting.last_use[1].ended_at
    idle_since = max(moment for moment in (view.launched_at, ended_at, run.created_at) if moment is not None)
    if now - idle_since < timing.KEPT_IDLE_LIMIT:
        return Judgement(Verdict.KEEP, "it is kept")
    why = f"nothing has trained on it since {clock_text(idle_since)}"
    can_stop = view.purchase_option is PurchaseOption.ON_DEMAND
    return Judgement(Verdict.STOP if can_stop else Verdict.END, why)


def _why_nobody_owns(sighting: Sighting) -> str:
    """Say why the machine is nobody's; empty when it is somebody's."""
    run, instance_id = sighting.run, sighting.view.instance_id
    if run is None:
        return "its run is not in the table"
    if run.machine == instance_id:
        return ""
    if run.status.is_terminal:
        return f"run {run.run_id} has ended"
    owner = next((attempt for attempt in sighting.attempts if attempt.instance_id == instance_id), None)
    if owner is None:
        return f"no attempt of run {run.run_id} launched it"
    if owner.number != run.attempt and owner.reason is not None:
        return f"attempt {owner.number} of run {run.run_id} is over"
    return ""


def is_stranded(run: Run, attempts: Sequence[Attempt], status: ExecutionStatus | None, now: datetime) -> bool:
    """Whether nothing will conclude the run any more: its execution has ended, or never began, and no machine of its
    own can report an end. One whose time to save is long over counts too."""
    if status in LIVING:
        return False
    if status is None and now - run.created_at < timing.REAPER_GRACE:
        return False
    if is_overdue(run, now - timing.REAPER_GRACE):
        return True
    return not any(attempt.owns_live_machine for attempt in attempts)


def is_overdue(run: Run, now: datetime) -> bool:
    """Whether the time to save of a run that was asked to stop is over, and the schedule's own delay."""
    request = run.stop_request
    if request is None:
        return False
    limit = timedelta(0) if request.now else timedelta(seconds=run.spec.save_limit_s)
    return now > request.requested_at + limit + 2 * timing.STOP_MARGIN
