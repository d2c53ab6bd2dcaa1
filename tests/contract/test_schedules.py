"""EventBridge Scheduler: one-time schedules that tell stop_run to terminate."""

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from runctl.aws.schedules import StopSchedules, schedule_name
from runctl.errors import AwsError, PermissionDenied
from runctl.model.stop import StopAction, StopCommand
from tests.contract.examples import RUN_ID
from tests.contract.stubs import stubbed

GROUP = "runctl-runs"
NOON = datetime(2027, 3, 1, 12, 0, 0, tzinfo=UTC)


def of_our_group(client: Any) -> StopSchedules:
    """Make the gateway for the group of these tests."""
    return StopSchedules(
        client,
        group=GROUP,
        role_arn="arn:aws:iam::123456789012:role/runctl-schedules",
        function_arn="arn:aws:lambda:us-east-1:123456789012:function:runctl-stop_run",
        dead_letter_arn="arn:aws:sqs:us-east-1:123456789012:runctl-dead-letters",
    )


@pytest.fixture
def scheduler(aws: None) -> Any:
    """Scheduler's client on moto, with the group."""
    client = boto3.client("scheduler", region_name="us-east-1")
    client.create_schedule_group(Name=GROUP)
    return client


def stored(scheduler: Any) -> dict[str, Any]:
    """Read the run's schedule."""
    return scheduler.get_schedule(Name=schedule_name(RUN_ID), GroupName=GROUP)


def test_a_schedule_tells_stop_run_to_terminate_once_and_removes_itself(scheduler: Any) -> None:
    of_our_group(scheduler).terminate_at(RUN_ID, NOON)

    schedule = stored(scheduler)
    command = StopCommand.model_validate_json(schedule["Target"]["Input"])
    assert schedule["ScheduleExpression"] == "at(2027-03-01T12:00:00)"
    assert schedule["ScheduleExpressionTimezone"] == "UTC"
    assert schedule["ActionAfterCompletion"] == "DELETE"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["Target"]["DeadLetterConfig"]["Arn"].endswith(":runctl-dead-letters")
    assert (command.run_id, command.action) == (RUN_ID, StopAction.TERMINATE)


def test_a_schedule_is_moved_when_it_is_set_again(scheduler: Any) -> None:
    schedules = of_our_group(scheduler)

    schedules.terminate_at(RUN_ID, NOON)
    schedules.terminate_at(RUN_ID, NOON.replace(hour=13))

    schedule = stored(scheduler)
    assert schedule["ScheduleExpression"] == "at(2027-03-01T13:00:00)"
    assert schedule["ActionAfterCompletion"] == "DELETE"
    assert json.loads(schedule["Target"]["Input"])["action"] == "terminate"


def test_a_schedule_never_fires_before_the_time_that_was_promised(scheduler: Any) -> None:
    of_our_group(scheduler).terminate_at(RUN_ID, NOON.replace(microsecond=1))

    assert stored(scheduler)["ScheduleExpression"] == "at(2027-03-01T12:00:01)"


def test_a_schedule_is_removed_and_one_that_is_not_there_is_fine(scheduler: Any) -> None:
    schedules = of_our_group(scheduler)
    schedules.terminate_at(RUN_ID, NOON)

    schedules.remove(RUN_ID)
    schedules.remove(RUN_ID)

    assert scheduler.list_schedules(GroupName=GROUP)["Schedules"] == []


def test_a_schedule_that_fires_between_two_calls_is_made_again() -> None:
    with stubbed("scheduler", of_our_group) as (schedules, stubber):
        stubber.add_client_error("create_schedule", service_error_code="ConflictException")
        stubber.add_client_error("update_schedule", service_error_code="ResourceNotFoundException")
        stubber.add_response("create_schedule", {"ScheduleArn": "arn:aws:scheduler:us-east-1:1:schedule/g/n"})

        schedules.terminate_at(RUN_ID, NOON)


def test_a_schedule_that_others_keep_making_and_removing_is_loud() -> None:
    with stubbed("scheduler", of_our_group) as (schedules, stubber), pytest.raises(AwsError):
        for _ in range(3):
            stubber.add_client_error("create_schedule", service_error_code="ConflictException")
            stubber.add_client_error("update_schedule", service_error_code="ResourceNotFoundException")
        schedules.terminate_at(RUN_ID, NOON)


def test_a_refused_schedule_is_loud() -> None:
    with stubbed("scheduler", of_our_group) as (schedules, stubber), pytest.raises(PermissionDenied):
        stubber.add_client_error("create_schedule", service_error_code="AccessDeniedException")
        schedules.terminate_at(RUN_ID, NOON)
