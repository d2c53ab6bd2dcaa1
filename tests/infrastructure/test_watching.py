"""Alarms, notifications, dashboard: few, and heard."""

import json
from collections.abc import Callable

from runctl.model.names import Metric, Parameter
from stacks.constructs.alarms import MOST_ALARMS
from tests.infrastructure.deployed_template import DeployedTemplate


def test_there_are_no_more_alarms_than_are_free(template: DeployedTemplate) -> None:
    assert 0 < len(template.of_type("AWS::CloudWatch::Alarm")) <= MOST_ALARMS


def test_there_are_no_more_metrics_of_ours_than_are_free() -> None:
    assert len(Metric) <= 10


def test_every_alarm_tells_the_topic_and_says_what_to_do(template: DeployedTemplate) -> None:
    for alarm in template.of_type("AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == ["<NotificationsTopic>"]
        assert len(alarm["AlarmDescription"]) > 40


def test_no_alarm_stands_for_one_run_user_or_project(template: DeployedTemplate) -> None:
    dimensions = {
        dimension["Name"]
        for alarm in template.of_type("AWS::CloudWatch::Alarm").values()
        for dimension in alarm.get("Dimensions", [])
    }

    assert dimensions == {"QueueName"}


def test_one_alarm_minds_the_dead_letters(template: DeployedTemplate) -> None:
    minding = [
        alarm
        for alarm in template.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    ]

    assert [alarm["Dimensions"] for alarm in minding] == [
        [{"Name": "QueueName", "Value": "<DeadLettersQueue.QueueName>"}]
    ]
    assert (minding[0]["Threshold"], minding[0]["ComparisonOperator"]) == (0, "GreaterThanThreshold")


def test_alarms_look_at_metrics_that_are_put(template: DeployedTemplate) -> None:
    ours = [a for a in template.of_type("AWS::CloudWatch::Alarm").values() if a["Namespace"] == "runctl"]

    assert ours
    assert {alarm["MetricName"] for alarm in ours} <= {metric.value for metric in Metric}


def test_alarms_may_publish_on_a_topic_that_has_a_policy_of_its_own(template: DeployedTemplate) -> None:
    (policy,) = template.of_type("AWS::SNS::TopicPolicy").values()
    allowed = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]

    assert [(s["Principal"], s["Action"]) for s in allowed] == [
        ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish"),
        ({"Service": "budgets.amazonaws.com"}, "sns:Publish"),
    ]
    assert all("aws:SourceAccount" in s["Condition"]["StringEquals"] for s in allowed)


def test_a_budget_of_awss_own_is_made_when_it_is_asked_for(deploy: Callable[..., DeployedTemplate]) -> None:
    (budget,) = deploy(**{Parameter.AWS_BUDGET_USD: "500"}).of_type("AWS::Budgets::Budget").values()

    assert budget["Budget"]["BudgetLimit"] == {"Amount": "500", "Unit": "USD"}
    assert budget["Budget"]["CostFilters"] == {"TagKeyValue": ["user:runctl:stack$runctl"]}
    told = [each["Notification"]["NotificationType"] for each in budget["NotificationsWithSubscribers"]]
    assert told == ["ACTUAL", "ACTUAL", "FORECASTED"]
    assert {
        (subscriber["SubscriptionType"], subscriber["Address"])
        for each in budget["NotificationsWithSubscribers"]
        for subscriber in each["Subscribers"]
    } == {("SNS", "<NotificationsTopic>")}
    assert not deploy().of_type("AWS::Budgets::Budget")


def test_an_address_is_told_when_one_is_given(deploy: Callable[..., DeployedTemplate]) -> None:
    told = deploy(**{Parameter.NOTIFY_EMAIL: "who@example.com"}).of_type("AWS::SNS::Subscription")

    assert [s["Endpoint"] for s in told.values() if s["Protocol"] == "email"] == ["who@example.com"]
    assert {s["Protocol"] for s in deploy().of_type("AWS::SNS::Subscription").values()} == {"lambda"}


def test_the_function_that_tells_slack_hears_what_is_told_and_what_cannot_be_handed_to_it_is_kept(
    template: DeployedTemplate,
) -> None:
    (subscription,) = template.of_type("AWS::SNS::Subscription").values()
    allowed = [
        each["FunctionName"]
        for each in template.of_type("AWS::Lambda::Permission").values()
        if each["Principal"] == "sns.amazonaws.com" and each["SourceArn"] == "<NotificationsTopic>"
    ]
    (policy,) = template.of_type("AWS::SQS::QueuePolicy").values()
    takers = [
        each["Condition"]["ArnEquals"]["aws:SourceArn"]
        for each in policy["PolicyDocument"]["Statement"]
        if each["Effect"] == "Allow" and each["Principal"] == {"Service": "sns.amazonaws.com"}
    ]

    assert subscription["Endpoint"] == "<FunctionsTellSlack.Arn>"
    assert subscription["RedrivePolicy"] == {"deadLetterTargetArn": "<DeadLettersQueue.Arn>"}
    assert allowed == ["<FunctionsTellSlack.Arn>"]
    assert takers == ["<NotificationsTopic>"]


def test_the_dashboard_is_made_when_it_is_asked_for(deploy: Callable[..., DeployedTemplate]) -> None:
    (dashboard,) = deploy(**{Parameter.DASHBOARD: "true"}).of_type("AWS::CloudWatch::Dashboard").values()

    assert len(json.loads(dashboard["DashboardBody"])["widgets"]) == 6
    assert not deploy().of_type("AWS::CloudWatch::Dashboard")
