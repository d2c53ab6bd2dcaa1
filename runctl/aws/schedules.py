"""EventBridge Scheduler: `Schedules` of runctl/controller/ports.py."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of
from runctl.errors import AwsError
from runctl.model.ids import RunId
from runctl.model.stop import StopAction, StopCommand

if TYPE_CHECKING:
    from types_boto3_scheduler import EventBridgeSchedulerClient

REQUESTED_BY: Final = "schedule"

_GONE: Final = "ResourceNotFoundException"
_THERE: Final = "ConflictException"
_UPSERT_TRIES: Final = 3
"""Another writer may remove or make the schedule between our two calls; twice in a row is no accident."""


class StopSchedules:
    """One-time schedules that tell `stop_run` to look at a run's limits, or to terminate its machine.

    A schedule that has fired removes itself. EventBridge Scheduler invokes within 60 s after the given time, and at
    least once (its User Guide, "Schedule types", "What is Amazon EventBridge Scheduler").
    """

    def __init__(
        self,
        client: "EventBridgeSchedulerClient",
        *,
        group: str,
        role_arn: str,
        function_arn: str,
        dead_letter_arn: str,
    ) -> None:
        self._client = client
        self._group = group
        self._role_arn = role_arn
        self._function_arn = function_arn
        self._dead_letter_arn = dead_letter_arn

    def terminate_at(self, run_id: RunId, at: datetime) -> None:
        """Set, or move, the time at which `stop_run` is told to terminate the run's machine."""
        command = StopCommand(run_id=run_id, action=StopAction.TERMINATE, requested_by=REQUESTED_BY)
        self._set(
            schedule_name(run_id), f"Ends the machine of run {run_id} when it has had its time to save.", command, at
        )

    def remove(self, run_id: RunId) -> None:
        """Remove the run's schedule; one that is not there, or has fired, is fine."""
        self._delete(schedule_name(run_id))

    def look_at(self, run_id: RunId, at: datetime) -> None:
        """Set, or move, the time at which `stop_run` is told to look at the run's limits."""
        command = StopCommand(run_id=run_id, action=StopAction.LIMITS, requested_by=REQUESTED_BY)
        description = f"Looks whether run {run_id} has reached a limit of money or time."
        self._set(look_name(run_id), description, command, at)

    def forget(self, run_id: RunId) -> None:
        """Remove that schedule; one that is not there, or has fired, is fine."""
        self._delete(look_name(run_id))

    def _set(self, name: str, description: str, command: StopCommand, at: datetime) -> None:
        schedule = self._schedule(name, description, command, at)
        # UpdateSchedule wants every field again, so that both calls take the same arguments.
        calls: tuple[tuple[Callable[..., object], str], ...] = (
            (self._client.create_schedule, _THERE),
            (self._client.update_schedule, _GONE),
        )
        with aws_errors():
            for call, other_way in calls * _UPSERT_TRIES:
                try:
                    call(**schedule)
                except ClientError as error:
                    if code_of(error) != other_way:
                        raise
                else:
                    return
        raise AwsError(f"The schedule {name} keeps being made and removed by others.")

    def _delete(self, name: str) -> None:
        with aws_errors():
            try:
                self._client.delete_schedule(Name=name, GroupName=self._group)
            except ClientError as error:
                if code_of(error) != _GONE:
                    raise

    def _schedule(self, name: str, description: str, command: StopCommand, at: datetime) -> dict[str, Any]:
        return {
            "Name": name,
            "GroupName": self._group,
            "Description": description,
            "ScheduleExpression": f"at({_whole_second(at):%Y-%m-%dT%H:%M:%S})",
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "State": "ENABLED",
            "Target": {
                "Arn": self._function_arn,
                "RoleArn": self._role_arn,
                "Input": command.model_dump_json(),
                "DeadLetterConfig": {"Arn": self._dead_letter_arn},
                "RetryPolicy": {"MaximumEventAgeInSeconds": 3_600, "MaximumRetryAttempts": 185},
            },
        }


def look_name(run_id: RunId) -> str:
    """Name the schedule that looks at a run's limits; a run has one at most."""
    return f"limits-{run_id}"


def schedule_name(run_id: RunId) -> str:
    """Name the schedule that ends a run's machine; a run has one at most."""
    return f"terminate-{run_id}"


def _whole_second(at: datetime) -> datetime:
    """Never earlier than asked for: the training was promised this time to save."""
    moment = at.astimezone(UTC)
    return moment if moment.microsecond == 0 else moment.replace(microsecond=0) + timedelta(seconds=1)
