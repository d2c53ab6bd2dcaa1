"""What a run is doing (status) apart from why it or an attempt ended (reason), with total maps between them.

The tables are those of docs/architecture.md; a test fails when a member lacks a row.
"""

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class RunStatus(StrEnum):
    """What a run is doing now."""

    PENDING = "PENDING"
    PROVISIONING = "PROVISIONING"
    WAITING_FOR_SSM = "WAITING_FOR_SSM"
    PREPARING = "PREPARING"
    RUNNING = "RUNNING"
    RECOVERING = "RECOVERING"
    STOPPING = "STOPPING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    STOPPED = "STOPPED"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended; a terminal status never changes."""
        return self in TERMINAL_STATUSES


TERMINAL_STATUSES: Final = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.STOPPED})


class Reason(StrEnum):
    """Why an attempt or a run ended."""

    COMPLETED = "COMPLETED"
    USER_ERROR = "USER_ERROR"
    SETUP_FAILED = "SETUP_FAILED"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    CHECKPOINT_MISSING = "CHECKPOINT_MISSING"
    SPOT_INTERRUPTION = "SPOT_INTERRUPTION"
    MACHINE_LOST = "MACHINE_LOST"
    MACHINE_NOT_READY = "MACHINE_NOT_READY"
    NO_PROGRESS = "NO_PROGRESS"
    CAPACITY = "CAPACITY"
    QUOTA = "QUOTA"
    PERMISSION = "PERMISSION"
    INVALID_SPEC = "INVALID_SPEC"
    TIMEOUT = "TIMEOUT"
    BUDGET = "BUDGET"
    CANCELLED = "CANCELLED"
    CONTROLLER = "CONTROLLER"


_FAILED_FOR_THE_USER = (
    Reason.USER_ERROR,
    Reason.SETUP_FAILED,
    Reason.OUT_OF_MEMORY,
    Reason.CHECKPOINT_MISSING,
)
_FAILED_FOR_THE_INFRASTRUCTURE = (
    Reason.SPOT_INTERRUPTION,
    Reason.MACHINE_LOST,
    Reason.MACHINE_NOT_READY,
    Reason.NO_PROGRESS,
    Reason.CAPACITY,
    Reason.QUOTA,
    Reason.PERMISSION,
)

STATUS_OF_REASON: Final = MappingProxyType(
    {
        Reason.COMPLETED: RunStatus.SUCCEEDED,
        **dict.fromkeys(_FAILED_FOR_THE_USER, RunStatus.FAILED),
        **dict.fromkeys(_FAILED_FOR_THE_INFRASTRUCTURE, RunStatus.FAILED),
        Reason.INVALID_SPEC: RunStatus.FAILED,
        Reason.TIMEOUT: RunStatus.STOPPED,
        Reason.BUDGET: RunStatus.STOPPED,
        Reason.CANCELLED: RunStatus.CANCELLED,
        Reason.CONTROLLER: RunStatus.FAILED,
    }
)
"""The terminal status in which a run that ended for this reason rests."""

EXIT_CODE_OF_REASON: Final = MappingProxyType(
    {
        Reason.COMPLETED: 0,
        **dict.fromkeys(_FAILED_FOR_THE_USER, 1),
        Reason.INVALID_SPEC: 2,
        **dict.fromkeys(_FAILED_FOR_THE_INFRASTRUCTURE, 4),
        Reason.TIMEOUT: 5,
        Reason.BUDGET: 5,
        Reason.CONTROLLER: 6,
        Reason.CANCELLED: 130,
    }
)
"""The exit code of a command that waited for the run, e.g. `runctl train --wait`."""
