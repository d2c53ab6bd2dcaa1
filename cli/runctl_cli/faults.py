"""Errors that only the command line knows, and how the end of a run reads as one."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from runctl import errors
from runctl.errors import RunctlError
from runctl.model.status import Reason


class Interrupted(RunctlError):
    """Ctrl-C: the terminal lets go. Nothing on AWS is ended by it."""

    code = "interrupted"
    exit_code = 130


class Declined(RunctlError):
    """A question before something is made or deleted was answered with no, or could not be asked."""

    code = "declined"
    exit_code = 2


class AccountNotReady(RunctlError):
    """The account lacks what the run needs; nothing was launched."""

    code = "account_not_ready"
    exit_code = 4


class PluginMissing(RunctlError):
    """A shell on AWS needs a program of AWS's that is not here."""

    code = "plugin_missing"
    exit_code = 2


class StillRunning(RunctlError):
    """The stack is not deleted while runs or machines are there."""

    code = "still_running"
    exit_code = 2


class Unexpected(RunctlError):
    """A fault of ours: an exception that nobody foresaw."""

    code = "internal"

    def __init__(self, error: Exception, trace_path: Path | None) -> None:
        where = "Run the command again with --debug" if trace_path is None else f"The whole story is in {trace_path}"
        super().__init__(
            f"Something went wrong inside runctl: {type(error).__name__}: {error}",
            hint=f"{where}; please report it as docs/errors.md#internal says.",
        )


class RunCancelled(RunctlError):
    """Somebody ended the run."""

    code = "cancelled"
    exit_code = 130
    reason = Reason.CANCELLED


class ControllerFault(RunctlError):
    """The controller in the account met a fault of ours."""

    code = "controller"


ERROR_OF_REASON: Final[Mapping[Reason, type[RunctlError]]] = MappingProxyType(
    {
        Reason.USER_ERROR: errors.UserError,
        Reason.SETUP_FAILED: errors.SetupFailed,
        Reason.OUT_OF_MEMORY: errors.OutOfMemory,
        Reason.CHECKPOINT_MISSING: errors.CheckpointMissing,
        Reason.SPOT_INTERRUPTION: errors.SpotInterruption,
        Reason.MACHINE_LOST: errors.MachineLost,
        Reason.MACHINE_NOT_READY: errors.MachineNotReady,
        Reason.NO_PROGRESS: errors.NoProgress,
        Reason.CAPACITY: errors.CapacityUnavailable,
        Reason.QUOTA: errors.QuotaExceeded,
        Reason.PERMISSION: errors.PermissionDenied,
        Reason.INVALID_SPEC: errors.InvalidSpec,
        Reason.TIMEOUT: errors.TimeLimit,
        Reason.BUDGET: errors.BudgetExceeded,
        Reason.CANCELLED: RunCancelled,
        Reason.CONTROLLER: ControllerFault,
    }
)
"""What a command that waited for a run answers when the run ended so; its exit code is the reason's."""
