"""Reaching a deployed stack with boto3. A client of a service is made when it is first needed: each takes a while."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config

from runctl.aws.bucket import CodeArchives
from runctl.aws.clients import CONFIG, EC2_CONFIG, LAMBDA_CONFIG, S3_CONFIG
from runctl.aws.errors import aws_errors
from runctl.aws.executions import Executions
from runctl.aws.machines import Ec2Machines
from runctl.aws.prices import Ec2Prices
from runctl.aws.stack import DEPLOY_HINT, StackOutputs, read_outputs
from runctl.aws.stop_function import StopFunction
from runctl.aws.training_log import TrainingLog
from runctl.client.place import Place
from runctl.errors import ConfigurationError, CredentialsError
from runctl.store.runs import RunsTable

_AWS_HOSTS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
"""Endings of AWS's own endpoints (AWS General Reference, "AWS service endpoints")."""

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")

_NOTHING_ELSE: Final = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""Session variables of botocore for a session that is given all it needs: a profile of the person's, perhaps one that
does not exist, has no say in it."""


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
    with aws_errors():
        if environment is not None:
            return AwsDeployment(_given_session(environment), endpoint_url=environment["AWS_ENDPOINT_URL"], hint=hint)
        session = boto3.Session(profile_name=profile, region_name=region)
        if session.get_credentials() is None:
            raise CredentialsError(
                "There are no AWS credentials.",
                hint="Log in (aws sso login), set AWS_PROFILE, or use the cloud on this machine: --target local",
            )
        if not session.region_name:
            raise ConfigurationError(
                "There is no AWS Region to work in.",
                hint="Set AWS_REGION, or region in [aws] of .runctl.toml, e.g. eu-central-1.",
            )
        return AwsDeployment(session, hint=hint)


def _given_session(environment: Mapping[str, str]) -> boto3.Session:
    core = botocore.session.Session(session_vars=_NOTHING_ELSE)
    core.set_credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    return boto3.Session(botocore_session=core, region_name=environment["AWS_REGION"])


class AwsDeployment:
    """`Deployment` of an account. The stack is looked for at once, so that nothing begins without one."""

    def __init__(self, session: boto3.Session, *, endpoint_url: str | None = None, hint: str = DEPLOY_HINT) -> None:
        self._session = session
        self._endpoint_url = endpoint_url
        is_loopback = endpoint_url is not None and urlsplit(endpoint_url).hostname in _LOOPBACK
        # Whatever the environment says, the loopback needs no proxy.
        self._extra = Config(proxies={}) if is_loopback else Config()
        self._clients: dict[str, Any] = {}
        cloudformation = self._client("cloudformation")
        self._outputs: StackOutputs = read_outputs(cloudformation, hint=hint)
        host = urlsplit(str(cloudformation.meta.endpoint_url)).hostname or ""
        self._place = Place(self._outputs.state_machine_arn, has_console=host.endswith(_AWS_HOSTS))

    @property
    def place(self) -> Place:
        """Account and Region."""
        return self._place

    @property
    def runs(self) -> RunsTable:
        """The runs table."""
        return RunsTable(self._outputs.runs_table, self._client("dynamodb"))

    @property
    def executions(self) -> Executions:
        """Step Functions."""
        return Executions(self._client("stepfunctions"), self._outputs.state_machine_arn)

    @property
    def code(self) -> CodeArchives:
        """The bucket's archives."""
        return CodeArchives(self._client("s3", S3_CONFIG), self._outputs.bucket)

    @property
    def stopper(self) -> StopFunction:
        """The function `stop_run`."""
        return StopFunction(self._client("lambda", LAMBDA_CONFIG), self._outputs.stop_run_function)

    @property
    def machine_types(self) -> Ec2Machines:
        """EC2's catalogue."""
        return Ec2Machines(self._client("ec2", EC2_CONFIG), self._client("ssm"))

    @property
    def prices(self) -> Ec2Prices:
        """What machines cost."""
        return Ec2Prices(self._client("ec2", EC2_CONFIG), self._place.region)

    @property
    def logs(self) -> TrainingLog:
        """What trainings printed."""
        return TrainingLog(self._client("logs"), self._outputs.machine_log_group)

    def _client(self, service: str, config: Config = CONFIG) -> Any:
        """Make a service's client once. Which one it is, only its gateway says; boto3's own types want a literal."""
        if service not in self._clients:
            make: Callable[..., Any] = cast("Any", self._session).client
            self._clients[service] = make(service, endpoint_url=self._endpoint_url, config=config.merge(self._extra))
        return self._clients[service]
