"""The ports of a deployed controller, each built when first asked for and then kept; its client when first used.

It stands here and not in `runctl.aws`, for it builds the store as well, and gives every implementation its port's type.
"""

from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from runctl.aws.clients import CONFIG, EC2_CONFIG, S3_CONFIG, ClientMaker, LazyClient
from runctl.aws.environment import FunctionEnvironment
from runctl.controller import ports
from runctl.controller.kept_packages import PackageShelf
from runctl.controller.settings import ControllerSettings

if TYPE_CHECKING:
    from botocore.config import Config
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_ec2 import EC2Client
    from types_boto3_ssm import SSMClient
    from types_boto3_stepfunctions import SFNClient


class Deployment:
    """What a function may ask for. The session is passed in; a client that nothing uses is never made."""

    def __init__(self, session: ClientMaker, environment: FunctionEnvironment) -> None:
        self._session = session
        self._environment = environment

    @classmethod
    def from_environment(cls) -> Self:
        """Make the one of the function that this process runs, with the credentials of its role."""
        from boto3.session import Session

        return cls(Session(), FunctionEnvironment())

    @cached_property
    def settings(self) -> ControllerSettings:
        """Names of what was deployed. For the functions that launch and start machines; they have all variables."""
        environment = self._environment
        return ControllerSettings(
            region=environment.region,
            stack_name=environment.stack_name,
            bucket=environment.bucket,
            bus_name=environment.bus_name,
            machine_log_group=environment.machine_log_group,
            launch_template_id=environment.launch_template_id,
            instance_profiles=environment.instance_profiles,
            subnet_ids=environment.subnet_ids,
        )

    @cached_property
    def runs(self) -> ports.RunStore:
        """The runs table."""
        from runctl.store.budgets import BudgetsTable
        from runctl.store.runs import RunsTable

        budgets = BudgetsTable(self._environment.budgets_table, self._dynamodb)
        return RunsTable(self._environment.runs_table, self._dynamodb, budgets=budgets)

    @cached_property
    def ledger(self) -> ports.SpendingLedger:
        """The runs table's sums."""
        from runctl.store.ledger import LedgerTable

        return LedgerTable(self._environment.runs_table, self._dynamodb)

    @cached_property
    def pages(self) -> ports.Pages:
        """The bucket's reports."""
        from runctl.aws.pages import S3Pages

        return S3Pages(self._client("s3", S3_CONFIG), self._environment.bucket)

    @cached_property
    def machines(self) -> ports.Machines:
        """EC2."""
        from runctl.aws.machines import Ec2Machines

        return Ec2Machines(self._ec2, self._ssm)

    @cached_property
    def prices(self) -> ports.Prices:
        """EC2's spot prices, and the Price List's on-demand prices."""
        from runctl.aws.price_list import PriceList, price_list_config
        from runctl.aws.prices import Ec2Prices
        from runctl.store.prices import PriceTable

        region = self._environment.region
        listed = PriceList(self._client("pricing", price_list_config(region)), region)
        return Ec2Prices(self._ec2, region, listed, PriceTable(self._environment.runs_table, self._dynamodb))

    @cached_property
    def commands(self) -> ports.Commands:
        """SSM."""
        from runctl.aws.commands import SsmCommands

        return SsmCommands(self._ssm)

    @cached_property
    def tokens(self) -> ports.TaskTokens:
        """Step Functions' waiting states."""
        from runctl.aws.executions import StepFunctionsTokens

        return StepFunctionsTokens(self._states)

    @cached_property
    def executions(self) -> ports.Executions:
        """Step Functions' executions."""
        from runctl.aws.executions import Executions

        return Executions(self._states, self._environment.state_machine_arn)

    @cached_property
    def bucket(self) -> ports.Bucket:
        """The bucket."""
        from runctl.aws.bucket import S3Bucket

        client = self._client("s3", S3_CONFIG)
        return S3Bucket(client, self._environment.bucket, self._environment.machine_role_id)

    @cached_property
    def packages(self) -> PackageShelf:
        """The bucket's packages."""
        from runctl.aws.packages import S3Packages

        client = self._client("s3", S3_CONFIG)
        return S3Packages(client, self._environment.bucket, self._environment.machine_role_id)

    @cached_property
    def schedules(self) -> ports.Schedules:
        """EventBridge Scheduler."""
        from runctl.aws.schedules import StopSchedules

        return StopSchedules(
            self._client("scheduler", CONFIG),
            group=self._environment.schedule_group,
            role_arn=self._environment.schedule_role_arn,
            function_arn=self._environment.stop_run_function_arn,
            dead_letter_arn=self._environment.dead_letter_arn,
        )

    @cached_property
    def notifications(self) -> ports.Notifications:
        """SNS."""
        from runctl.aws.notifications import SnsNotifications

        return SnsNotifications(self._client("sns", CONFIG), self._environment.topic_arn)

    @cached_property
    def slack_webhooks(self) -> ports.SlackWebhooks:
        """Systems Manager's parameters that hold addresses of webhooks."""
        from runctl.aws.slack_webhooks import SlackWebhooks

        return SlackWebhooks(self._ssm, self._environment.stack_name)

    @cached_property
    def slack_posts(self) -> ports.SlackPosts:
        """Slack."""
        from runctl.aws.slack_posts import SlackPosts

        return SlackPosts()

    @cached_property
    def slack_later(self) -> ports.SlackLater:
        """The function that tells Slack: the one that asks."""
        from runctl.aws.slack_function import SlackFunction

        return SlackFunction(self._client("lambda", CONFIG), self._environment.function_name)

    @cached_property
    def metrics(self) -> ports.Metrics:
        """CloudWatch."""
        from runctl.aws.metrics import CloudWatchMetrics

        return CloudWatchMetrics(self._client("cloudwatch", CONFIG), self._environment.metric_namespace)

    def now(self) -> datetime:
        """Tell the time: `Clock` of the ports."""
        return datetime.now(UTC)

    @cached_property
    def _dynamodb(self) -> "DynamoDBClient":
        return self._client("dynamodb", CONFIG)

    @cached_property
    def _ec2(self) -> "EC2Client":
        return self._client("ec2", EC2_CONFIG)

    @cached_property
    def _ssm(self) -> "SSMClient":
        return self._client("ssm", CONFIG)

    @cached_property
    def _states(self) -> "SFNClient":
        return self._client("stepfunctions", CONFIG)

    def _client(self, service: str, config: "Config") -> Any:
        return LazyClient(lambda: self._session.client(service, config=config))
