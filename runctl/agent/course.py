"""How far an attempt has come: what a supervisor that was started again must know of the ones before."""

from dataclasses import asdict, dataclass
from typing import Any

from runctl.agent.note import Note

FAULTS_FORGIVEN = 3
"""How often a fault of the agent itself is answered by starting it again, before the training is asked to save."""


class StartAgainError(Exception):
    """The agent failed in a way that may not happen again: its process ends, and is started again by whoever keeps it.
    The training goes on meanwhile."""


@dataclass
class Course:
    """Changed by the supervisor, which notes it after each change."""

    boot_id: str
    memory_kills_before: int | None = None
    """The kernel's count when the training began."""
    max_runtime_s: float = 0.0
    """How long the training may take."""
    is_resumed: bool = False
    start_report: dict[str, Any] | None = None
    """What the controller was not told yet of the training's start."""
    faults: int = 0
    is_end_shown: bool = False
    is_output_saved: bool = False
    is_machine_kept: bool = False
    """Somebody keeps the machine, and neither EC2 nor a lost controller says otherwise: it is not powered off, after a
    restart either."""
    power_off_at: float | None = None
    """Set when the end was told; nothing is left to do then but to wait. Seconds of the monotonic clock."""

    @classmethod
    def read(cls, note: Note) -> "Course | None":
        """Read what the supervisor before noted; None for the first one."""
        noted = note.read()
        return None if noted is None else cls(**noted)

    def keep(self, note: Note) -> None:
        """Note it."""
        note.write(asdict(self))
