"""Where everything ends that could not be delivered or handled: one queue, for one alarm."""

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

KEPT: Final = Duration.days(14)
"""The longest that SQS keeps a message (SQS Developer Guide, "Message quotas")."""


class DeadLetters(Construct):
    """One queue, encrypted, TLS only."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=KEPT,
        )

    def accept_from_rules(self, rule_arns: list[str]) -> None:
        """Let EventBridge put in what these rules could not deliver (EventBridge User Guide, "Using dead-letter
        queues to process undelivered events")."""
        self.queue.add_to_resource_policy(
            iam.PolicyStatement(
                sid="RulesThatCouldNotDeliver",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[self.queue.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": rule_arns}},
            )
        )

    def accept_from_topic(self, topic_arn: str) -> None:
        """Let SNS put in what it could not hand on (SNS Developer Guide, "Configuring an Amazon SNS dead-letter
        queue")."""
        self.queue.add_to_resource_policy(
            iam.PolicyStatement(
                sid="TopicThatCouldNotDeliver",
                principals=[iam.ServicePrincipal("sns.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[self.queue.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": topic_arn}},
            )
        )
