"""How steps are tried again: named policies, each for a reason. Nothing is retried merely because it failed."""

from dataclasses import dataclass
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn

from runctl import errors


@dataclass(frozen=True)
class RetryPolicy:
    """A retrier. Every retry is a state transition, which is paid for and counts into 25,000 history events."""

    errors: tuple[str, ...]
    interval_s: int
    backoff_rate: float
    max_delay_s: int
    max_attempts: int
    has_jitter: bool = True

    def apply_to(self, task: sfn.TaskStateBase) -> None:
        """Add the retrier to a task. A callback task is invoked anew with a new token."""
        task.add_retry(
            errors=list(self.errors),
            interval=Duration.seconds(self.interval_s),
            backoff_rate=self.backoff_rate,
            max_delay=Duration.seconds(self.max_delay_s),
            max_attempts=self.max_attempts,
            jitter_strategy=sfn.JitterType.FULL if self.has_jitter else sfn.JitterType.NONE,
        )


LAMBDA_FAULTS: Final = RetryPolicy(
    errors=(
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.ClientExecutionTimeoutException",
    ),
    interval_s=2,
    backoff_rate=2.0,
    max_delay_s=30,
    max_attempts=6,
)
"""Faults of the Lambda service (Step Functions Developer Guide, "Handle transient Lambda service exceptions")."""

LAMBDA_THROTTLING: Final = RetryPolicy(
    errors=("Lambda.TooManyRequestsException",),
    interval_s=1,
    backoff_rate=2.0,
    max_delay_s=60,
    max_attempts=40,
)
"""A new account runs ten functions at once, and a burst of runs waits its turn: about twenty minutes, spread evenly."""

CRASHED_FUNCTION: Final = RetryPolicy(
    errors=("Sandbox.Timedout", "Runtime.ExitError", "Lambda.Unknown"),
    interval_s=2,
    backoff_rate=2.0,
    max_delay_s=10,
    max_attempts=2,
)
"""A function that ran out of time or of its process: each step may be repeated, for it writes before it acts."""

SILENT_FUNCTION: Final = RetryPolicy(
    errors=("States.Timeout",),
    interval_s=2,
    backoff_rate=2.0,
    max_delay_s=10,
    max_attempts=2,
)
"""An invocation of which nothing was heard in the step's time: as one that crashed. Not for steps that wait for a
token, whose timeout is an answer."""

AWS_THROTTLING: Final = RetryPolicy(
    errors=(errors.Throttled.__name__, errors.AwsUnavailable.__name__),
    interval_s=2,
    backoff_rate=2.0,
    max_delay_s=60,
    max_attempts=12,
)
"""An API of AWS said slow down, or did not answer."""

LASTING_THROTTLING: Final = RetryPolicy(
    errors=(errors.Throttled.__name__, errors.AwsUnavailable.__name__, "Lambda.TooManyRequestsException"),
    interval_s=2,
    backoff_rate=2.0,
    max_delay_s=60,
    max_attempts=240,
)
"""For the states behind which nobody is left to wait: about two hours, spread evenly, at 240 transitions ($0.006). The
other states give up after minutes, for `Decide what next` waits for them as for capacity."""

LOST_RACE: Final = RetryPolicy(
    errors=(errors.StaleWriteError.__name__,),
    interval_s=1,
    backoff_rate=2.0,
    max_delay_s=10,
    max_attempts=6,
)
"""Somebody else wrote first: the step reads again and sees what they wrote."""

MACHINE_GOING: Final = RetryPolicy(
    errors=(errors.MachineStillAlive.__name__,),
    interval_s=2,
    backoff_rate=1.5,
    max_delay_s=30,
    max_attempts=24,
    has_jitter=False,
)
"""EC2 says `shutting-down` seconds after it was asked; ten minutes is for a bad day of EC2."""

EVERY_STEP: Final = (LAMBDA_FAULTS, LAMBDA_THROTTLING, CRASHED_FUNCTION, AWS_THROTTLING, LOST_RACE)
"""What each task is tried again for, that hands over to `Decide what next` when it was in vain."""

LAST_STEP: Final = (LAMBDA_FAULTS, CRASHED_FUNCTION, LASTING_THROTTLING, LOST_RACE)
"""The same for a task without which the run would end, or not be ended."""
