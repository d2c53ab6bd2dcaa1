"""Facts read with their meaning: how the training ended, how the machine went."""

from dataclasses import dataclass
from datetime import datetime

from runctl.errors import (
    AttemptEnded,
    CheckpointMissing,
    MachineLost,
    NoProgress,
    OutOfMemory,
    SetupFailed,
    SpotInterruption,
    StopRequested,
    TimeLimit,
    UserError,
)
from runctl.model.agent_event import EndedWhy, TrainingEnded
from runctl.model.attempt import Attempt, FactKind
from runctl.model.machine import SPOT_TERMINATION, MachineView
from runctl.model.status import Reason

SAVED_RESUME_ME = 75
"""`EX_TEMPFAIL` of sysexits: the training saved and wants to be resumed (docs/training-scripts.md)."""

EX_KILLED = 137
"""128 + SIGKILL, as a shell reports it. Alone it is no proof of a lack of memory: anybody may send SIGKILL."""


@dataclass(frozen=True)
class Departure:
    """How a machine went, as EC2 told."""

    state: str = ""
    state_reason: str = ""
    state_message: str = ""

    @property
    def is_spot_interruption(self) -> bool:
        """Whether EC2 says that it took the machine back."""
        return self.state_reason == SPOT_TERMINATION

    @property
    def data(self) -> dict[str, str]:
        """The fact's data."""
        return {"state": self.state, "state_reason": self.state_reason, "state_message": self.state_message}

    @classmethod
    def of_view(cls, machine: MachineView) -> "Departure":
        """Read it from what EC2 shows of the machine."""
        return cls(str(machine.state), machine.state_reason, machine.state_message)


def departure(attempt: Attempt) -> Departure | None:
    """Read the fact `gone`; None while the machine is there."""
    fact = attempt.facts.get(FactKind.GONE)
    if fact is None:
        return None
    read = {name: str(fact.data.get(name, "")) for name in ("state", "state_reason", "state_message")}
    return Departure(**read)


def report(attempt: Attempt) -> TrainingEnded | None:
    """Read the fact `ended`, the agent's own report; None while there is none."""
    fact = attempt.facts.get(FactKind.ENDED)
    return None if fact is None else TrainingEnded.model_validate(fact.data)


def is_success(ended: TrainingEnded) -> bool:
    """Whether the training did what it was to do: exit code 0 counts, whatever else was going on."""
    return ended.exit_code == 0 and ended.why is not EndedWhy.CHECKPOINT_MISSING


def is_interrupted(attempt: Attempt) -> bool:
    """Whether EC2 announced or gave as its reason that it takes the spot machine back."""
    gone = departure(attempt)
    return attempt.is_draining or (gone is not None and gone.is_spot_interruption)


_ERROR_OF_WHY: dict[EndedWhy, type[AttemptEnded]] = {
    EndedWhy.SETUP_FAILED: SetupFailed,
    EndedWhy.OUT_OF_MEMORY: OutOfMemory,
    EndedWhy.CHECKPOINT_MISSING: CheckpointMissing,
    EndedWhy.NOTICE: SpotInterruption,
    EndedWhy.DEADLINE: TimeLimit,
    EndedWhy.STOP: StopRequested,
    EndedWhy.DEAD_MAN: MachineLost,
}
"""`EXITED` is missing: there the exit code decides."""


def error_of_report(ended: TrainingEnded, attempt: Attempt, *, stop_requested: bool) -> type[AttemptEnded]:
    """Tell which error an ending other than success is."""
    if ended.why is not EndedWhy.EXITED:
        return _ERROR_OF_WHY[ended.why]
    if ended.exit_code != SAVED_RESUME_ME:
        return UserError
    if stop_requested:
        return StopRequested
    return SpotInterruption if is_interrupted(attempt) else NoProgress


def taken_back_at(attempt: Attempt) -> datetime | None:
    """When EC2 announced, or was seen, to take the attempt's spot machine back; None when it did not."""
    if not is_interrupted(attempt) and attempt.reason is not Reason.SPOT_INTERRUPTION:
        return None
    seen = [attempt.facts[kind].at for kind in (FactKind.WARNED, FactKind.GONE) if kind in attempt.facts]
    return min(seen, default=attempt.ended_at)
