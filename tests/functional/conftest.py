"""A deployed controller on moto: what the stack makes, and the environment that it gives to its functions."""

import importlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

from runctl.model.names import Function, Variable
from runctl.store.budgets import BudgetsTable
from runctl.store.runs import RunsTable
from tests.contract.budgets_table import TABLE as BUDGETS_TABLE
from tests.contract.budgets_table import make_budgets_table
from tests.contract.runs_table import TABLE, make_table
from tests.fakes.services import ROLE_ID
from tests.functional.calls import Calls

REGION = "us-east-1"
ACCOUNT = "123456789012"
BUCKET = "runctl-bucket"
SCHEDULE_GROUP = "runctl-runs"


@dataclass(frozen=True)
class Context:
    """What Lambda hands to a handler beside the event."""

    function_name: str = "runctl"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:runctl"
    aws_request_id: str = "52fdfc07-2182-454f-963f-5f0f9a621d72"


class Invoke:
    """Invokes functions as Lambda does in a new process: JSON in, JSON out. `logged` holds what they wrote."""

    def __init__(self) -> None:
        self._stream = io.StringIO()

    def __call__(self, function: Function, event: dict[str, Any]) -> dict[str, Any]:
        module = importlib.import_module(f"lambdas.{function.value}.handler")
        module.deployment.cache_clear()
        module.logger.registered_handler.setStream(self._stream)
        answer = module.handler(json.loads(json.dumps(event)), Context())
        return json.loads(json.dumps(answer))

    @property
    def logged(self) -> str:
        """All log lines."""
        return self._stream.getvalue()


@pytest.fixture(autouse=True)
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the table and set the functions' environment. What else a test needs it asks for: each costs a client."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "runctl-tell_slack")
    credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    for name, value in {**credentials, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    variables = {
        Variable.STACK_NAME: "runctl",
        Variable.RUNS_TABLE: TABLE,
        Variable.BUDGETS_TABLE: BUDGETS_TABLE,
        Variable.BUCKET: BUCKET,
        Variable.BUS_NAME: "runctl",
        Variable.LAUNCH_TEMPLATE_ID: "lt-0123456789abcdef0",
        Variable.SUBNET_IDS: "subnet-0123456789abcdef0",
        Variable.MACHINE_ROLE_ID: ROLE_ID,
        Variable.INSTANCE_PROFILES: "runctl-ssm-profile:AROAOWN",
        Variable.MACHINE_LOG_GROUP: "/runctl/machines",
        Variable.TOPIC_ARN: f"arn:aws:sns:{REGION}:{ACCOUNT}:runctl",
        Variable.STATE_MACHINE_ARN: f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:runctl",
        Variable.STOP_RUN_FUNCTION_ARN: f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:runctl-stop_run",
        Variable.SCHEDULE_GROUP: SCHEDULE_GROUP,
        Variable.SCHEDULE_ROLE_ARN: f"arn:aws:iam::{ACCOUNT}:role/runctl-schedules",
        Variable.DEAD_LETTER_ARN: f"arn:aws:sqs:{REGION}:{ACCOUNT}:runctl-dead-letters",
        Variable.METRIC_NAMESPACE: "Runctl",
    }
    for variable, value in variables.items():
        monkeypatch.setenv(variable.value, value)
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        make_table(client)
        make_budgets_table(client)
        yield


@pytest.fixture
def network(deployed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the launch template, and name the subnets that moto has."""
    ec2 = boto3.client("ec2", region_name=REGION)
    template = ec2.create_launch_template(
        LaunchTemplateName="runctl", LaunchTemplateData={"InstanceInitiatedShutdownBehavior": "terminate"}
    )
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]][:2]
    monkeypatch.setenv(Variable.LAUNCH_TEMPLATE_ID, template["LaunchTemplate"]["LaunchTemplateId"])
    monkeypatch.setenv(Variable.SUBNET_IDS, ",".join(subnets))


@pytest.fixture
def bucket(deployed: None) -> None:
    """Make the bucket."""
    boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET)


@pytest.fixture
def topic(deployed: None) -> None:
    """Make the topic."""
    boto3.client("sns", region_name=REGION).create_topic(Name="runctl")


@pytest.fixture
def schedule_group(deployed: None) -> None:
    """Make the group of the one-time schedules."""
    boto3.client("scheduler", region_name=REGION).create_schedule_group(Name=SCHEDULE_GROUP)


@pytest.fixture
def calls(deployed: None, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the handlers ask of AWS from here on."""
    return Calls(monkeypatch)


@pytest.fixture
def table(deployed: None) -> RunsTable:
    """The runs table, for the test to write and read."""
    client = boto3.client("dynamodb", region_name=REGION)
    return RunsTable(TABLE, client, budgets=BudgetsTable(BUDGETS_TABLE, client))


@pytest.fixture
def invoke(deployed: None) -> Invoke:
    """Invoke functions of the deployed controller."""
    return Invoke()
