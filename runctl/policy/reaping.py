"""Which machines no run owns, and which runs wait for something that was lost. What the reaper does about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from runctl.model import timing
from runctl.model.attempt import Attempt
from runctl.model.machine import MachineView
from runctl.model.names import Tag
from runctl.model.run import Run
from runctl.model.service_events import ExecutionStatus

LIVING = (ExecutionStatus.RUNNING, ExecutionStatus.PENDING_REDRIVE)


class Verdict(StrEnum):
    """What becomes of a machine that was seen."""

    KEEP = "keep"
    STRIKE = "strike"
    """No run owns it. It is ended if that is still so at a later look."""
    END = "end"


@dataclass(frozen=True)
class Sighting:
    """A machine, and what the table knows of it."""

    view: MachineView
    run: Run | None
    attempts: Sequence[Attempt] = ()
    """Of the run."""
    struck_at: datetime | None = None
    """Since when it has been seen without an owner, look after look."""


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
    why = _why_nobody_owns(sighting)
    if not why:
        return Judgement(Verdict.KEEP, "its run goes on")
    if sighting.struck_at is None or now - sighting.struck_at < timing.REAPER_SECOND_LOOK:
        return Judgement(Verdict.STRIKE, why)
    return Judgement(Verdict.END, why)


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
