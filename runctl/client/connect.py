"""Reaching a deployed stack with boto3. A client of a service is made when it is first needed: each takes a while."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from runctl.aws.clients import EC2_CONFIG, LAMBDA_CONFIG, S3_CONFIG
from runctl.aws.code_objects import CodeObjects
from runctl.aws.commands import SsmCommands
from runctl.aws.dead_letters import DeadLetters
from runctl.aws.executions import Executions
from runctl.aws.machines import Ec2Machines
from runctl.aws.price_list import PriceList, price_list_config
from runctl.aws.prices import Ec2Prices
from runctl.aws.reap_function import ReapFunction
from runctl.aws.results import Results
from runctl.aws.sessions import Sessions
from runctl.aws.slack_webhooks import Audience, SlackWebhooks
from runctl.aws.stack import DEPLOY_HINT, StackOutputs, read_outputs
from runctl.aws.stop_function import StopFunction
from runctl.aws.subscriptions import Subscriptions
from runctl.aws.training_log import TrainingLog
from runctl.client.clients import Clients, find_clients
from runctl.client.place import Place
from runctl.model.names import STACK_NAME, Function
from runctl.store.budgets import BudgetsTable
from runctl.store.ledger import LedgerTable
from runctl.store.prices import PriceTable
from runctl.store.runs import RunsTable

_AWS_HOSTS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
"""Endings of AWS's own endpoints (AWS General Reference, "AWS service endpoints")."""


def connect(
    *,
    profile: str | None = None,
    region: str | None = None,
    environment: Mapping[str, str] | None = None,
    hint: str = DEPLOY_HINT,
) -> "AwsDeployment":
    """Find the stack of an account and Region, as the AWS CLI would find them; `profile` and `region` weigh more.

    `environment` stands for the process's own: then `AWS_ENDPOINT_URL`, the keys and the Region are taken from it and
    nothing else is looked at. `hint` says what to do when nothing is deployed. Raises CredentialsError,
    ConfigurationError, NotDeployedError.
    """
    return AwsDeployment(find_clients(profile=profile, region=region, environment=environment), hint=hint)


class AwsDeployment:
    """`Deployment` of an account. The stack is looked for at once, so that nothing begins without one."""

    def __init__(self, clients: Clients, *, hint: str = DEPLOY_HINT) -> None:
        self._clients = clients
        cloudformation = clients.get("cloudformation")
        self._outputs: StackOutputs = read_outputs(cloudformation, hint=hint)
        host = urlsplit(str(cloudformation.meta.endpoint_url)).hostname or ""
        self._place = Place(self._outputs.state_machine_arn, has_console=host.endswith(_AWS_HOSTS))

    @property
    def place(self) -> Place:
        """Account and Region."""
        return self._place

    @property
    def instance_profiles(self) -> str:
        """What runs may name as their instance profile."""
        return self._outputs.instance_profiles

    @property
    def data_buckets(self) -> tuple[str, ...]:
        """Buckets that machines may read."""
        return tuple(arn.rpartition(":")[2] for arn in self._outputs.data_buckets)

    @property
    def runs(self) -> RunsTable:
        """The runs table."""
        return RunsTable(self._outputs.runs_table, self._clients.get("dynamodb"))

    @property
    def executions(self) -> Executions:
        """Step Functions."""
        return Executions(self._clients.get("stepfunctions"), self._outputs.state_machine_arn)

    @property
    def code(self) -> CodeObjects:
        """The bucket's `code/` prefix."""
        return CodeObjects(self._clients.get("s3", S3_CONFIG), self._outputs.bucket)

    @property
    def stopper(self) -> StopFunction:
        """The function `stop_run`."""
        return StopFunction(self._clients.get("lambda", LAMBDA_CONFIG), self._outputs.stop_run_function)

    @property
    def reaper(self) -> ReapFunction:
        """The function `reap_machines`, by the name that the stack gives it."""
        return ReapFunction(self._clients.get("lambda", LAMBDA_CONFIG), f"{STACK_NAME}-{Function.REAP_MACHINES.value}")

    @property
    def dead_letters(self) -> DeadLetters:
        """The dead-letter queue."""
        return DeadLetters(
            self._clients.get("sqs"), self._clients.get("lambda", LAMBDA_CONFIG), self._outputs.dead_letter_url
        )

    @property
    def machine_types(self) -> Ec2Machines:
        """EC2's catalogue."""
        return Ec2Machines(self._clients.get("ec2", EC2_CONFIG), self._clients.get("ssm"))

    @property
    def ledger(self) -> LedgerTable:
        """The runs table's sums."""
        return LedgerTable(self._outputs.runs_table, self._clients.get("dynamodb"))

    @property
    def budgets(self) -> BudgetsTable:
        """The budgets table."""
        return BudgetsTable(self._outputs.budgets_table, self._clients.get("dynamodb"))

    @property
    def subscriptions(self) -> Audience:
        """Who hears what is told."""
        topic = Subscriptions(self._clients.get("sns"), self._outputs.topic_arn)
        return Audience(topic, SlackWebhooks(self._clients.get("ssm"), STACK_NAME))

    @property
    def machines(self) -> Ec2Machines:
        """EC2's machines."""
        return self.machine_types

    @property
    def commands(self) -> SsmCommands:
        """Systems Manager."""
        return SsmCommands(self._clients.get("ssm"))

    @property
    def sessions(self) -> Sessions:
        """Session Manager."""
        return Sessions(self._clients.get("ssm"))

    @property
    def prices(self) -> Ec2Prices:
        """What machines cost."""
        region = self._place.region
        listed = PriceList(self._clients.get("pricing", price_list_config(region)), region)
        kept = PriceTable(self._outputs.runs_table, self._clients.get("dynamodb"))
        return Ec2Prices(self._clients.get("ec2", EC2_CONFIG), region, listed, kept)

    @property
    def logs(self) -> TrainingLog:
        """What trainings printed."""
        return TrainingLog(self._clients.get("logs"), self._outputs.machine_log_group)

    @property
    def results(self) -> Results:
        """What runs left behind."""
        return Results(self._clients.get("s3", S3_CONFIG), self._outputs.bucket)
