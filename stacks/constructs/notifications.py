"""The topic that runs and alarms are told on, and the address that hears it."""

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.constructs.parameters import Parameters


class Notifications(Construct):
    """One topic, TLS only. The subscription of an address must be confirmed by its owner."""

    def __init__(self, scope: Construct, construct_id: str, *, parameters: Parameters) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", enforce_ssl=True)
        # A topic with a policy of its own has lost the default one, by which alarms of the account may publish.
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        topic_for_budgets = iam.PolicyStatement(
            sid="BudgetsOfThisAccount",
            principals=[iam.ServicePrincipal("budgets.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[self.topic.topic_arn],
            conditions={
                "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                "ArnLike": {"aws:SourceArn": f"arn:{Aws.PARTITION}:budgets::{Aws.ACCOUNT_ID}:*"},
            },
        )
        # AWS Budgets looks whether it may publish when a budget is created (AWS Cost Management User Guide, "Creating
        # an Amazon SNS topic for budget notifications").
        self.topic.add_to_resource_policy(topic_for_budgets)
        email = sns.CfnSubscription(
            self, "Email", topic_arn=self.topic.topic_arn, protocol="email", endpoint=parameters.notify_email
        )
        email.cfn_options.condition = parameters.has_email

    def tell(self, function: lambda_.Function, dead_letters: sqs.Queue) -> None:
        """Let a function hear what is told. What SNS cannot hand to Lambda it gives to the dead-letter queue (SNS
        Developer Guide, "Amazon SNS dead-letter queues"); what the function fails at, Lambda does."""
        lambda_.CfnPermission(
            self,
            "InvokesSlack",
            action="lambda:InvokeFunction",
            function_name=function.function_arn,
            principal="sns.amazonaws.com",
            source_arn=self.topic.topic_arn,
        )
        sns.CfnSubscription(
            self,
            "Slack",
            topic_arn=self.topic.topic_arn,
            protocol="lambda",
            endpoint=function.function_arn,
            redrive_policy={"deadLetterTargetArn": dead_letters.queue_arn},
        )
