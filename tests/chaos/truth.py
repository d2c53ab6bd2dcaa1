"""What the simulation knows to have happened, whatever the controller has heard of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runctl.model.ids import AttemptNumber, InstanceId, RunId


class Violation(BaseException):
    """A promise was broken. Not an Exception: no function of ours may catch it."""


@dataclass
class MachineTruth:
    """One machine, as it really was. Times are seconds of the loop; None: it never happened."""

    instance_id: InstanceId
    run_id: RunId
    attempt: AttemptNumber
    launched_at: float
    online_at: float | None = None
    announced_at: float | None = None
    was_heard: bool = False
    """An event of its agent got through."""
    warned_at: float | None = None
    taken_at: float | None = None
    """EC2 took it back."""
    lost_at: float | None = None
    """It died otherwise, and nobody of us ended it."""
    refused_at: float | None = None
    """EC2 let it go before it ran, for want of capacity."""
    deleted_at: float | None = None
    """Somebody ended it by hand."""
    ended_by_us_at: float | None = None
    powered_off_at: float | None = None
    silent_from: float | None = None
    never_ready: bool = False
    command_failed: bool = False
    unreachable_at: float | None = None
    """SSM refused a command for it."""
    commanded_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    why: str = ""
    exit_code: int | None = None
    reported_at: float | None = None
    """The final marker lies in the bucket."""
    left_by_itself: bool = False
    """Exit 75 that nobody had asked for."""
    gone_at: float | None = None
    hidden_until: float = 0.0


@dataclass
class RunTruth:
    """One run, as it really was."""

    run_id: RunId
    submitted_at: float
    started: bool = True
    cancelled_at: list[float] = field(default_factory=list[float])
    cancel_heard_at: list[float] = field(default_factory=list[float])
    """When a cancelling person was answered that the run is being stopped."""
    aborted_at: float | None = None
    timed_out_at: float | None = None
    refusals: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    """What CreateFleet answered, when."""
    broken_steps: list[tuple[float, str, str]] = field(default_factory=list[tuple[float, str, str]])
    """Invocations of the state machine that failed through a fault of ours: time, function, error."""
    ended_at: float | None = None
    slow_goodbyes: int = 0


@dataclass(frozen=True)
class StrayTruth:
    """A machine that no run of a story launched: one to be ended by the reaper, or one to be left alone."""

    since: float
    is_ours: bool


@dataclass
class Ledger:
    """All truths, and the tale of them; the tale is kept only when somebody wants to read it."""

    runs: dict[RunId, RunTruth] = field(default_factory=dict[RunId, RunTruth])
    strays: dict[InstanceId, StrayTruth] = field(default_factory=dict[InstanceId, StrayTruth])
    machines: dict[InstanceId, MachineTruth] = field(default_factory=dict[InstanceId, MachineTruth])
    lines: list[tuple[float, str, str]] | None = None
    now: Callable[[], float] = lambda: 0.0

    def tell(self, who: str, text: str, *parts: Any) -> None:
        """Keep a line of the tale."""
        if self.lines is not None:
            self.lines.append((self.now(), who, text.format(*parts)))

    def machines_of(self, run_id: RunId) -> list[MachineTruth]:
        """The run's machines, in the order of their launch."""
        return [each for each in self.machines.values() if each.run_id == run_id]

    def readable(self) -> str:
        """The tale: time, who, what."""
        return "\n".join(f"{_clock(at)}  {who:<22} {text}" for at, who, text in self.lines or ())


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:3d}:{minutes:02d}:{rest:06.3f}"
