"""SNS and CloudWatch."""

from typing import Any

import boto3
import pytest

from runctl.aws.metrics import CloudWatchMetrics
from runctl.aws.notifications import SnsNotifications, ascii_subject
from runctl.errors import PermissionDenied
from runctl.model.names import Metric
from tests.contract.stubs import stubbed

TOPIC = "arn:aws:sns:us-east-1:123456789012:runctl"


def to_our_topic(client: Any) -> SnsNotifications:
    """Make the gateway for the topic of these tests."""
    return SnsNotifications(client, TOPIC)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Run digits succeeded", "Run digits succeeded"),
        ("Run «café» — 80 %\nof its budget", "Run -cafe- - 80 % of its budget"),
        ("Run " + "x" * 200, "Run " + "x" * 93 + "..."),
        ("🚀", "runctl"),
        ("(digits) failed", "runctl: (digits) failed"),
    ],
)
def test_a_subject_becomes_what_sns_takes(subject: str, expected: str) -> None:
    made = ascii_subject(subject)

    assert made == expected
    assert len(made) <= 100
    assert made.isascii()


def test_people_are_told_on_the_topic() -> None:
    with stubbed("sns", to_our_topic) as (notifications, stubber):
        stubber.add_response(
            "publish",
            {"MessageId": "1"},
            expected_params={"TopicArn": TOPIC, "Subject": "Run succeeded", "Message": "It took 5 min — all well."},
        )

        notifications.send("Run succeeded", "It took 5 min — all well.")


def test_a_refused_notification_is_loud() -> None:
    with stubbed("sns", to_our_topic) as (notifications, stubber), pytest.raises(PermissionDenied):
        stubber.add_client_error("publish", service_error_code="AuthorizationError")
        notifications.send("Run succeeded", "It took 5 min.")


@pytest.mark.parametrize(("metric", "unit"), [(Metric.IDLE_MACHINES, "Count"), (Metric.USD_PER_HOUR, "None")])
@pytest.mark.usefixtures("aws")
def test_a_metric_is_put_without_any_dimension(metric: Metric, unit: str) -> None:
    client = boto3.client("cloudwatch", region_name="us-east-1")

    CloudWatchMetrics(client, "Runctl").put({metric: 2.5})

    (listed,) = client.list_metrics(Namespace="Runctl")["Metrics"]
    assert (listed["MetricName"], listed["Dimensions"]) == (metric.value, [])


def test_values_go_in_one_call_and_money_has_no_unit_that_cloudwatch_knows() -> None:
    with stubbed("cloudwatch", lambda client: CloudWatchMetrics(client, "Runctl")) as (metrics, stubber):
        data = [
            {"MetricName": "UsdPerHour", "Value": 1.25, "Unit": "None"},
            {"MetricName": "IdleMachines", "Value": 2.0, "Unit": "Count"},
        ]
        stubber.add_response("put_metric_data", {}, expected_params={"Namespace": "Runctl", "MetricData": data})

        metrics.put({Metric.USD_PER_HOUR: 1.25, Metric.IDLE_MACHINES: 2.0})


def test_nothing_is_put_where_there_is_nothing() -> None:
    with stubbed("cloudwatch", lambda client: CloudWatchMetrics(client, "Runctl")) as (metrics, _):
        metrics.put({})
