"""Logs, metrics, alarms and notifications as the agent and the controller rest on them.

Amazon CloudWatch Logs API Reference, CreateLogStream, PutLogEvents and GetLogEvents; Amazon CloudWatch API Reference,
PutMetricData; Amazon CloudWatch User Guide, "Using Amazon CloudWatch alarms"; Amazon SNS Developer Guide, "Fanout
Amazon SNS notifications to Amazon SQS queues for asynchronous processing".
"""

import json
import time
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from tests.local.emulator.services import Services, wait_until

pytestmark = pytest.mark.local_cloud


@pytest.fixture
def logs(services: Services) -> Any:
    """CloudWatch Logs."""
    return services.client("logs")


@pytest.fixture
def stream(logs: Any) -> dict[str, str]:
    """A new stream of a new group."""
    names = {"logGroupName": f"/reports/{uuid4().hex[:8]}", "logStreamName": "run/attempt-1"}
    logs.create_log_group(logGroupName=names["logGroupName"])
    logs.create_log_stream(**names)
    return names


def put_lines(logs: Any, stream: dict[str, str], *lines: str) -> None:
    now = int(time.time() * 1000)
    logs.put_log_events(**stream, logEvents=[{"timestamp": now, "message": line} for line in lines])


def test_stream_that_is_there_cannot_be_made_again(logs: Any, stream: dict[str, str]) -> None:
    with pytest.raises(ClientError, match="ResourceAlreadyExistsException"):
        logs.create_log_stream(**stream)


def test_lines_are_put_without_a_sequence_token_and_read_on_from_the_last_token(
    logs: Any, stream: dict[str, str]
) -> None:
    put_lines(logs, stream, "one", "two")
    first = logs.get_log_events(**stream, startFromHead=True)
    nothing = logs.get_log_events(**stream, startFromHead=True, nextToken=first["nextForwardToken"])
    put_lines(logs, stream, "three")
    more = logs.get_log_events(**stream, startFromHead=True, nextToken=first["nextForwardToken"])

    assert [event["message"] for event in first["events"]] == ["one", "two"]
    assert (nothing["events"], nothing["nextForwardToken"]) == ([], first["nextForwardToken"])
    assert [event["message"] for event in more["events"]] == ["three"]


def test_stream_that_is_not_there_is_an_error_of_its_own(logs: Any, stream: dict[str, str]) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        logs.get_log_events(**{**stream, "logStreamName": "run/attempt-2"})


def test_alarm_of_a_metric_is_told_on_the_topic_and_ends_with_it(services: Services) -> None:
    cloudwatch, sns = services.client("cloudwatch"), services.client("sns")
    topic = sns.create_topic(Name=f"alarms-{uuid4().hex[:8]}")["TopicArn"]
    queue = services.sqs.create_queue(QueueName=f"alarms-{uuid4().hex[:8]}")["QueueUrl"]
    arn = services.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**allowed, "Resource": arn}]}
    services.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    name = f"stray-{uuid4().hex[:8]}"
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="reports",
        MetricName=name,
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=[topic],
    )

    def state() -> str:
        return cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]

    cloudwatch.put_metric_data(Namespace="reports", MetricData=[{"MetricName": name, "Value": 0}])
    quiet = state()
    cloudwatch.put_metric_data(Namespace="reports", MetricData=[{"MetricName": name, "Value": 1}])
    told = wait_until(
        lambda: services.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"),
        "the alarm on its topic",
    )

    message = json.loads(json.loads(told[0]["Body"])["Message"])
    assert (quiet, state()) == ("OK", "ALARM")
    assert (message["AlarmName"], message["NewStateValue"]) == (name, "ALARM")
