"""One-time schedules, as the controller sets them for what must happen even if everything else is lost.

What AWS does: EventBridge Scheduler User Guide, "Schedule types" and "Managing a schedule".
"""

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from tests.local.emulator.services import Services, wait_until

pytestmark = pytest.mark.local_cloud


def _schedule(services: Services, name: str, target_arn: str, after: str = "DELETE") -> None:
    queue_arn = services.sqs.get_queue_attributes(
        QueueUrl=services.queue_urls["undelivered"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    services.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression=f"at({datetime.now(UTC) + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion=after,
        Target={
            "Arn": target_arn,
            "RoleArn": services.outputs["RoleArn"],
            "Input": json.dumps({"schedule": name}),
            "DeadLetterConfig": {"Arn": queue_arn},
        },
    )


def _is_gone(services: Services, name: str) -> bool | None:
    try:
        services.client("scheduler").get_schedule(Name=name)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ResourceNotFoundException"
        return True
    return None


def test_one_time_schedule_invokes_its_function_with_its_input_and_is_gone(services: Services) -> None:
    _schedule(services, "once", services.functions["tell"])

    (message,) = services.messages("told", 1)

    assert message["Body"] == {"schedule": "once"}
    wait_until(lambda: _is_gone(services, "once"), "the end of the schedule")


def test_schedule_whose_function_is_gone_ends_in_its_dead_letter_queue(services: Services) -> None:
    _schedule(services, "lost", services.functions["tell"] + "-gone")

    (message,) = services.messages("undelivered", 1)

    assert message["Body"] == {"schedule": "lost"}
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["SCHEDULE_ARN"].endswith(":schedule/default/lost")
    assert attributes["TARGET_ARN"] == services.functions["tell"] + "-gone"
    assert "RULE_ARN" not in attributes


def test_schedule_of_a_name_that_fired_before_fires_again(services: Services) -> None:
    for _ in range(2):
        _schedule(services, "again", services.functions["tell"], after="NONE")

        assert [message["Body"] for message in services.messages("told", 1)] == [{"schedule": "again"}]
        services.client("scheduler").delete_schedule(Name="again")
