"""Decides when the training is asked to save, asked to leave, or killed, and says why it ended. No clock, no I/O."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from runctl.agent.training_process import Exit

EX_TEMPFAIL = 75
"""Exit code of a training that saved and wants to be resumed (sysexits.h)."""

OUT_OF_MEMORY_CODE = 137
SIGKILL = 9

UPLOAD_RESERVE_S = 45.0
"""Kept at the end of a notice for stopping and the last upload, at least: `runctl.model.timing.UPLOAD_RESERVE`."""

STOP_S = 15.0
"""What stopping takes, at least, where uploads take so long that the two together are more than the reserve."""

RESERVE_SHARE = 0.4
"""What the reserve may take of a notice that is shorter than EC2's usual 120 s; 45 s of 120 s are less than that."""

MARGIN = 1.5
"""The last save and the last upload may take longer than those before: the machine has other things to do then."""

REPORT_S = 5.0
"""Kept at the very end of a notice for the log's last lines and the report, whatever the training does."""

REPORT_SHARE = 0.1

LEAST_TO_SAVE_S = 2.0
"""What a training gets between SIGTERM and SIGKILL however late the notice was seen: EC2's own end may come later."""


class Why(StrEnum):
    """What made the training end: `runctl.model.agent_event.EndedWhy`."""

    EXITED = "exited"
    SETUP_FAILED = "setup_failed"
    OUT_OF_MEMORY = "out_of_memory"
    NOTICE = "notice"
    STOP = "stop"
    DEADLINE = "deadline"
    DEAD_MAN = "dead_man"
    CHECKPOINT_MISSING = "checkpoint_missing"


class Act(Enum):
    """What to do to the training now."""

    NOTHING = auto()
    SAVE = auto()
    """SIGUSR1: save and go on."""
    LEAVE = auto()
    """SIGTERM: save and leave."""
    KILL = auto()
    """SIGKILL, to it and all that it started."""


class Alarm(Enum):
    """What a training is asked to save for while it goes on; each asks once."""

    REBALANCE = auto()
    NOTICE = auto()


@dataclass(frozen=True)
class Notice:
    """EC2 takes the machine back. Both in seconds of the monotonic clock."""

    seen_at: float
    ends_at: float

    @property
    def length_s(self) -> float:
        """How much time there was when it was seen."""
        return max(0.0, self.ends_at - self.seen_at)


@dataclass(frozen=True)
class Leaving:
    """That the training was asked to leave."""

    why: Why
    at: float


@dataclass(frozen=True)
class Situation:
    """All that the decision depends on. Times are seconds of the monotonic clock."""

    now: float
    deadline_at: float
    silent_since: float
    """The last contact with the controller."""
    dead_man_s: float
    save_limit_s: float
    upload_s: float
    """What the upload of a checkpoint takes, as far as it was seen."""
    hears_usr1: bool
    leaves_at_once: bool = False
    """Whether it wants SIGTERM at once on a notice, though it hears SIGUSR1 (`--on-notice stop`)."""
    save_s: float = 0.0
    """How long it took to save when it was asked to, as far as it was seen."""
    stop: bool = False
    stop_now: bool = False
    machine_is_ending: bool = False
    """The machine is being shut down, and nobody had told us."""
    notice: Notice | None = None
    is_replacement_ready: bool = False
    """Another machine is prepared and waits for this one to leave."""
    rebalance: bool = False
    asked: frozenset[Alarm] = frozenset()
    leaving: Leaving | None = None


@dataclass(frozen=True)
class Order:
    """What to do, and why."""

    act: Act
    why: Why | None = None
    alarm: Alarm | None = None


NOTHING = Order(Act.NOTHING)


def decide(situation: Situation) -> Order:
    """Decide what the training is told now."""
    if situation.stop_now:
        return Order(Act.KILL, Why.STOP)
    if situation.leaving is not None:
        is_over = situation.now >= kill_at(situation, situation.leaving)
        return Order(Act.KILL, situation.leaving.why) if is_over else NOTHING
    why = _reason_to_leave(situation)
    if why is not None:
        return Order(Act.LEAVE, why)
    for alarm, is_on in ((Alarm.NOTICE, situation.notice is not None), (Alarm.REBALANCE, situation.rebalance)):
        if is_on and situation.hears_usr1 and alarm not in situation.asked:
            return Order(Act.SAVE, alarm=alarm)
    return NOTHING


def reserve_s(notice: Notice, *, save_s: float, upload_s: float) -> float:
    """What is kept of a notice for stopping and the last upload.

    45 s or, of a short notice, its share; more where saving and uploading were seen to take longer, up to all that
    there is.
    """
    least = min(UPLOAD_RESERVE_S, RESERVE_SHARE * notice.length_s)
    stop_s = max(STOP_S / UPLOAD_RESERVE_S * least, MARGIN * save_s)
    return min(notice.length_s, max(least, stop_s + MARGIN * upload_s))


def kill_at(situation: Situation, leaving: Leaving) -> float:
    """When a training that was asked to leave is killed: what it saved must still be uploaded."""
    upload_s = min(MARGIN * situation.upload_s, situation.save_limit_s / 2)
    limit = leaving.at + situation.save_limit_s - upload_s
    notice = situation.notice
    if notice is None:
        return limit
    # What it saved must still get to the bucket: it may not save until the machine goes. But it gets half of what there
    # was when it was asked, for without a save there is nothing to upload.
    report_s = min(REPORT_S, REPORT_SHARE * notice.length_s)
    last = notice.ends_at - report_s
    half = leaving.at + max(LEAST_TO_SAVE_S, (last - leaving.at) / 2)
    return min(limit, max(last - MARGIN * situation.upload_s, half))


def _reason_to_leave(situation: Situation) -> Why | None:
    if situation.stop:
        return Why.STOP
    if situation.machine_is_ending:
        # As far as the training is concerned the machine is lost, unless EC2 had said that it would be.
        return Why.DEAD_MAN if situation.notice is None else Why.NOTICE
    if situation.now >= situation.deadline_at:
        return Why.DEADLINE
    if situation.now - situation.silent_since >= situation.dead_man_s:
        return Why.DEAD_MAN
    notice = situation.notice
    if notice is None:
        return None
    leave_at = notice.ends_at - reserve_s(notice, save_s=situation.save_s, upload_s=situation.upload_s)
    may_train_on = situation.hears_usr1 and not situation.leaves_at_once and not situation.is_replacement_ready
    return None if may_train_on and situation.now < leave_at else Why.NOTICE


def why_it_ended(
    ended: Exit,
    *,
    leaving: Leaving | None,
    is_warned: bool,
    is_stopped: bool,
    is_machine_ending: bool,
    out_of_memory: bool,
    lacks_checkpoint: bool,
) -> Why:
    """Say why, from how the process ended and what it had been told. Success counts whatever else was going on."""
    if ended.code == 0:
        return Why.CHECKPOINT_MISSING if lacks_checkpoint else Why.EXITED
    if leaving is not None:
        return leaving.why
    if not ended.is_known:
        return Why.DEAD_MAN  # worth another machine: nobody can say that it was the training's fault
    if ended.code == EX_TEMPFAIL or is_machine_ending:
        # Asked to save only, it left as well; or a request, or the machine's shutdown, and its exit crossed.
        if is_stopped:
            return Why.STOP
        if is_warned:
            return Why.NOTICE
        if is_machine_ending:
            return Why.DEAD_MAN
    if out_of_memory and (ended.signal == SIGKILL or ended.code == OUT_OF_MEMORY_CODE):
        return Why.OUT_OF_MEMORY
    return Why.EXITED
