"""What people are told of a run, each once, and how much of it a run wants told."""

from enum import StrEnum


class NoticeKind(StrEnum):
    """One kind of message."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    MONEY = "money"
    """80 % of its money is spent."""
    TIME = "time"
    """80 % of its time is used."""
    NO_CAPACITY = "no_capacity"
    """AWS has had no machine for a quarter of an hour."""
    FELL_BACK = "fell_back"
    """It goes on on demand, for spot was refused or interrupted too often."""
    NO_PROGRESS = "no_progress"
    """Nothing new was reported or saved for a long time."""
    WITHOUT_RUN = "without_run"
    """A machine with our tag is paid for, and no run owns it."""

    @property
    def is_end(self) -> bool:
        """Whether it tells how a run ended."""
        return self in (NoticeKind.SUCCEEDED, NoticeKind.FAILED, NoticeKind.STOPPED, NoticeKind.CANCELLED)


class NotifyLevel(StrEnum):
    """How much a run wants told."""

    NONE = "none"
    END = "end"
    ALL = "all"

    def wants(self, kind: NoticeKind) -> bool:
        """Whether a message of this kind is sent."""
        return self is NotifyLevel.ALL or (self is NotifyLevel.END and kind.is_end)
