"""Every error that a person or the state machine can meet.

A class name is the error's name in the state machine (`ErrorEquals`), and what `SendTaskFailure` carries; a test
compares both. `reason` says how an attempt that met the error ends.
"""

from typing import ClassVar

from runctl.model.aws_advice import topic_of
from runctl.model.status import Reason

_DOCS = "docs/errors.md"


class RunctlError(Exception):
    """Something went wrong and we know what: a sentence, and what to do next.

    `code` is stable and stands in JSON output; `retryable` says whether the same call may succeed later without
    anybody doing anything; `exit_code` is the CLI's.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 6
    reason: ClassVar[Reason] = Reason.CONTROLLER
    aws_code: str = ""
    """AWS's own code where AWS refused; empty otherwise."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def docs(self) -> str:
        """Where the error is explained: where AWS's own code is, when there is advice on that."""
        return f"{_DOCS}#{topic_of(self.aws_code).lower() or self.code}"


# -- what a person typed or configured (exit 2, 3) ---------------------------------------------------------------


class UsageError(RunctlError):
    """The command line does not make sense."""

    code = "usage"
    exit_code = 2


class ConfigurationError(RunctlError):
    """A configuration file or an environment variable does not make sense."""

    code = "configuration"
    exit_code = 2


class InvalidSpec(RunctlError):
    """The run that was asked for cannot be run."""

    code = "invalid_spec"
    exit_code = 2
    reason = Reason.INVALID_SPEC


class CredentialsError(RunctlError):
    """There are no AWS credentials, or AWS does not know them."""

    code = "credentials"
    exit_code = 2
    reason = Reason.PERMISSION


class NotDeployedError(RunctlError):
    """The stack, or the local target, is not there."""

    code = "not_deployed"
    exit_code = 2


class AssemblyMissing(NotDeployedError):
    """There is no built template to deploy."""

    code = "assembly_missing"


class AssemblyDamaged(RunctlError):
    """The files of the assembly are not the ones that its manifest names."""

    code = "assembly_damaged"


class AssemblyStale(NotDeployedError):
    """The code of this checkout is newer than what was built of it."""

    code = "assembly_stale"


class NotFoundError(RunctlError):
    """There is no such run, machine or checkpoint."""

    code = "not_found"
    exit_code = 3


class DownloadDamaged(RunctlError):
    """A file of the bucket is not the one that was saved, or names a place where it must not go."""

    code = "download_damaged"
    exit_code = 4


# -- what AWS answered (exit 4) ----------------------------------------------------------------------------------


class AwsError(RunctlError):
    """AWS refused, with a code that no more precise class stands for. `aws_code` is AWS's own."""

    code = "aws"
    exit_code = 4

    def __init__(self, message: str, *, hint: str = "", aws_code: str = "", operation: str = "") -> None:
        super().__init__(message, hint=hint)
        self.aws_code = aws_code
        self.operation = operation


class CapacityUnavailable(AwsError):
    """AWS has no machine of the asked types now; waiting or another pool may help."""

    code = "capacity"
    retryable = True
    reason = Reason.CAPACITY


class QuotaExceeded(AwsError):
    """A quota of the account is full; other Availability Zones do not help."""

    code = "quota"
    reason = Reason.QUOTA


class PermissionDenied(AwsError):
    """A role or a user lacks a permission. Never a lack of capacity, never retried."""

    code = "permission"
    reason = Reason.PERMISSION


class Throttled(AwsError):
    """AWS says slow down; the same call will succeed later."""

    code = "throttled"
    retryable = True


class AwsUnavailable(AwsError):
    """AWS could not be reached or met a fault of its own; the same call may succeed later."""

    code = "unavailable"
    retryable = True


class PoolUnsupported(AwsError):
    """The type is not offered in that Availability Zone, or the combination does not exist."""

    code = "unsupported"
    reason = Reason.INVALID_SPEC


class SlackRefused(RunctlError):
    """A Slack webhook did not take a message. Raised in the function that posts, so that Lambda tries it again."""

    code = "slack_refused"
    retryable = True


class DeploymentFailed(RunctlError):
    """CloudFormation could not deploy or delete the stack; the message names the resource and why."""

    code = "deployment_failed"
    exit_code = 4


# -- how an attempt ended: sent with SendTaskFailure or raised by a step -------------------------------------------


class AttemptEnded(RunctlError):
    """An attempt came to an end other than success. Only its subclasses are raised."""


class SpotInterruption(AttemptEnded):
    """EC2 took the spot machine back."""

    code = "spot_interruption"
    exit_code = 4
    reason = Reason.SPOT_INTERRUPTION


class MachineLost(AttemptEnded):
    """The machine is gone and nobody here ended it."""

    code = "machine_lost"
    exit_code = 4
    reason = Reason.MACHINE_LOST


class MachineNotReady(AttemptEnded):
    """The machine did not become reachable through SSM in time, or the agent could not start on it."""

    code = "machine_not_ready"
    exit_code = 4
    reason = Reason.MACHINE_NOT_READY


class UserError(AttemptEnded):
    """The training itself failed: exit code other than 0 and 75."""

    code = "user_error"
    exit_code = 1
    reason = Reason.USER_ERROR


class SetupFailed(AttemptEnded):
    """The code, the environment or the data could not be made ready."""

    code = "setup_failed"
    exit_code = 1
    reason = Reason.SETUP_FAILED


class OutOfMemory(AttemptEnded):
    """The training was ended for want of memory."""

    code = "out_of_memory"
    exit_code = 1
    reason = Reason.OUT_OF_MEMORY


class CheckpointMissing(AttemptEnded):
    """The training ended well but left no complete checkpoint, and one was asked for."""

    code = "checkpoint_missing"
    exit_code = 1
    reason = Reason.CHECKPOINT_MISSING


class NoProgress(AttemptEnded):
    """The training saved and left (exit 75) although nobody asked it to."""

    code = "no_progress"
    exit_code = 4
    reason = Reason.NO_PROGRESS


class NotNeeded(AttemptEnded):
    """An earlier machine finished the training during its notice: the run has succeeded without this attempt."""

    code = "not_needed"
    exit_code = 0
    reason = Reason.COMPLETED


class TimeLimit(AttemptEnded):
    """The run reached `max_runtime`; it saved and stopped."""

    code = "time_limit"
    exit_code = 5
    reason = Reason.TIMEOUT


class BudgetExceeded(AttemptEnded):
    """A budget has no room for the run, or the run reached `max_cost`: then it saved and stopped."""

    code = "budget"
    exit_code = 5
    reason = Reason.BUDGET


class StopRequested(AttemptEnded):
    """Somebody or a limit asked the run to stop; the stop request on the run says who and why."""

    code = "stop_requested"
    exit_code = 130
    reason = Reason.CANCELLED


# -- the controller's own ----------------------------------------------------------------------------------------


class StaleWriteError(RunctlError):
    """Somebody else wrote first; the caller drops its result."""

    code = "stale_write"


class RunEnded(RunctlError):
    """The run has already ended: a redrive, or a duplicate that came late."""

    code = "run_ended"


class MachineStillAlive(RunctlError):
    """EC2 does not yet say that the machine is going; no other may train before it does."""

    code = "machine_still_alive"
    retryable = True
