"""A role may do what its policies allow, and no more.

What AWS does: IAM User Guide, "Policy evaluation logic" and "IAM policy elements: Variables and tags"; EventBridge User
Guide, "Using IAM policy conditions".
"""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local.emulator.services import Services

pytestmark = pytest.mark.local_cloud

SESSION = "i-0123456789abcdef0"


class Machine:
    """A caller in the role of a machine, whose `aws:userid` is `<role id>:<instance id>`."""

    def __init__(self, services: Services) -> None:
        answer = services.client("sts").assume_role(RoleArn=services.outputs["MachineRoleArn"], RoleSessionName=SESSION)
        self.userid: str = answer["AssumedRoleUser"]["AssumedRoleId"]
        self._credentials = answer["Credentials"]
        self._services = services

    def client(self, service: str) -> Any:
        """Make a client with the role's credentials."""
        return boto3.client(
            service,  # pyright: ignore[reportArgumentType]
            endpoint_url=self._services.environment["AWS_ENDPOINT_URL"],
            region_name=self._services.environment["AWS_REGION"],
            aws_access_key_id=self._credentials["AccessKeyId"],
            aws_secret_access_key=self._credentials["SecretAccessKey"],
            aws_session_token=self._credentials["SessionToken"],
        )


@pytest.fixture(scope="module")
def machine(services: Services) -> Machine:
    """A machine's credentials."""
    return Machine(services)


def test_function_lacks_what_its_role_does_not_allow(services: Services) -> None:
    answer = services.lambdas.invoke(FunctionName=services.functions["overreach"])

    error = json.loads(answer["Payload"].read())
    assert error["errorType"] == "ClientError"
    assert "AccessDenied" in error["errorMessage"]
    assert "dynamodb:ListTables" in error["errorMessage"]


def test_machine_writes_below_its_own_user_id_only(services: Services, machine: Machine) -> None:
    s3 = machine.client("s3")
    bucket = services.outputs["BucketName"]

    s3.put_object(Bucket=bucket, Key=f"runs/{machine.userid}/log", Body=b"mine")

    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key="runs/another/log", Body=b"not mine")


def test_machine_puts_events_of_its_own_source_only(machine: Machine) -> None:
    events = machine.client("events")

    answer = events.put_events(Entries=[{"Source": "test.machine", "DetailType": "x", "Detail": "{}"}])

    assert answer["FailedEntryCount"] == 0
    with pytest.raises(ClientError, match="AccessDenied"):
        events.put_events(Entries=[{"Source": "test.other", "DetailType": "x", "Detail": "{}"}])


def test_token_of_another_state_machine_is_refused_by_the_role(services: Services, machine: Machine) -> None:
    arn = services.start(services.machine({"Task": services.callback_task("hold")}))

    with pytest.raises(ClientError, match="AccessDenied"):
        machine.client("stepfunctions").send_task_heartbeat(taskToken=services.token(arn))

    services.states.stop_execution(executionArn=arn)


def test_calls_about_machines_need_their_action(machine: Machine) -> None:
    machine.client("ec2").describe_instances()
    machine.client("ssm").describe_instance_information()

    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        machine.client("ec2").terminate_instances(InstanceIds=[SESSION])
    with pytest.raises(ClientError, match="AccessDeniedException"):
        machine.client("ssm").list_commands()


def test_state_machine_invokes_only_what_its_role_allows(services: Services) -> None:
    machine_arn = services.machine({"Task": services.task("echo")}, role_arn=services.outputs["MachineRoleArn"])

    execution = services.ended(services.start(machine_arn))

    assert (execution["status"], execution["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert "not authorized to perform: lambda:InvokeFunction" in execution["cause"]


def test_unknown_access_key_is_refused(services: Services) -> None:
    stranger = boto3.client(
        "ec2",
        endpoint_url=services.environment["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="secret",
    )

    with pytest.raises(ClientError, match=r"AuthFailure|InvalidClientTokenId"):
        stranger.describe_instances()


def test_missing_object_is_forbidden_to_whoever_may_not_list(services: Services, machine: Machine) -> None:
    place = {"Bucket": services.outputs["BucketName"], "Key": f"runs/{machine.userid}/nowhere"}

    with pytest.raises(ClientError) as not_there:
        services.client("s3").get_object(**place)
    with pytest.raises(ClientError) as hidden:
        machine.client("s3").get_object(**place)
    with pytest.raises(ClientError) as hidden_head:
        machine.client("s3").head_object(**place)

    codes = [error.value.response["Error"]["Code"] for error in (not_there, hidden, hidden_head)]
    assert codes == ["NoSuchKey", "AccessDenied", "403"]


def test_metric_outside_the_namespace_of_the_policy_is_refused(machine: Machine) -> None:
    cloudwatch = machine.client("cloudwatch")
    data = [{"MetricName": "count", "Value": 1.0}]

    cloudwatch.put_metric_data(Namespace="test", MetricData=data)

    with pytest.raises(ClientError, match="AccessDenied"):
        cloudwatch.put_metric_data(Namespace="AWS/EC2", MetricData=data)


def test_parameters_and_secrets_are_read_below_the_prefixes_of_the_policy(services: Services, machine: Machine) -> None:
    parameters, secrets = services.client("ssm"), services.client("secretsmanager")
    for prefix in ("allowed", "other"):
        parameters.put_parameter(Name=f"/{prefix}/token", Value=prefix, Type="SecureString", Overwrite=True)
        secrets.create_secret(Name=f"{prefix}/token", SecretString=prefix)

    parameter = machine.client("ssm").get_parameter(Name="/allowed/token", WithDecryption=True)
    secret = machine.client("secretsmanager").get_secret_value(SecretId="allowed/token")

    assert (parameter["Parameter"]["Value"], secret["SecretString"]) == ("allowed", "allowed")
    with pytest.raises(ClientError, match="AccessDenied"):
        machine.client("ssm").get_parameter(Name="/other/token", WithDecryption=True)
    with pytest.raises(ClientError, match="AccessDenied"):
        machine.client("secretsmanager").get_secret_value(SecretId="other/token")
