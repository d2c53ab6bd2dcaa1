"""How a run is asked to stop: what `stop_run` is invoked with, and its answer."""

from enum import StrEnum

from pydantic import model_validator

from runctl.model.base import WireModel
from runctl.model.extension import Extension
from runctl.model.ids import RunId
from runctl.model.status import Reason, RunStatus


class StopAction(StrEnum):
    """What is asked for."""

    STOP = "stop"
    """Save and end."""
    TERMINATE = "terminate"
    """The time to save is over: end the machine. Sent by the one-time schedule."""
    LIMITS = "limits"
    """Look whether a limit of money or time is reached. Sent by a one-time schedule for the moment when it will be."""
    EXTEND = "extend"
    """Let the run use more time or money, so that it is not stopped at the limit that it had."""


class StopCommand(WireModel):
    """The input of `stop_run`."""

    run_id: RunId
    action: StopAction = StopAction.STOP
    reason: Reason = Reason.CANCELLED
    requested_by: str = ""
    now: bool = False
    """End the machine at once; nothing is saved that is not yet in the bucket."""
    extension: Extension | None = None
    """What `extend` asks for."""

    @model_validator(mode="after")
    def _extend_says_by_what(self) -> "StopCommand":
        if (self.action is StopAction.EXTEND) != (self.extension is not None):
            raise ValueError("an extension belongs to the action extend, and it to an extension")
        return self


class StopAnswer(WireModel):
    """The answer of `stop_run`."""

    run_id: RunId
    status: RunStatus
    message: str
