"""Reaching a deployed stack: credentials, Region, the stack's outputs, and whose environment counts."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from runctl.client.client import Client
from runctl.client.clients import Clients
from runctl.client.connect import AwsDeployment, connect
from runctl.errors import ConfigurationError, CredentialsError, NotDeployedError
from runctl.model.names import STACK_NAME, Output

STATE_MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:runctl"
OUTPUTS = {output.value: f"the-{output.value.lower()}" for output in Output} | {
    Output.STATE_MACHINE_ARN.value: STATE_MACHINE
}


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nobody has set up AWS."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


class _CloudFormation(BaseHTTPRequestHandler):
    """Answers DescribeStacks as CloudFormation does (its API Reference), and nothing else."""

    is_deployed = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        assert "Action=DescribeStacks" in body
        outputs = "".join(
            f"<member><OutputKey>{name}</OutputKey><OutputValue>{value}</OutputValue></member>"
            for name, value in OUTPUTS.items()
        )
        answer = (
            '<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult>'
            f"<Stacks><member><StackName>{STACK_NAME}</StackName><StackStatus>CREATE_COMPLETE</StackStatus>"
            f"<CreationTime>2026-11-24T09:30:00Z</CreationTime><Outputs>{outputs}</Outputs></member></Stacks>"
            "</DescribeStacksResult></DescribeStacksResponse>"
        )
        if not self.is_deployed:
            answer = (
                '<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type>'
                f"<Code>ValidationError</Code><Message>Stack with id {STACK_NAME} does not exist</Message></Error>"
                "</ErrorResponse>"
            )
        self._answer(200 if self.is_deployed else 400, answer.encode())

    def _answer(self, status: int, answer: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint_url() -> Iterator[str]:
    """An account behind an address of this machine."""
    server = HTTPServer(("127.0.0.1", 0), _CloudFormation)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _environment(endpoint_url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "123456789012",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "eu-central-1",
    }


@pytest.fixture
def account(endpoint_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who is logged in to that account."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


def test_stack_of_the_account_is_found(account: None) -> None:
    place = connect().place

    assert (place.account, place.region) == ("123456789012", "eu-central-1")


def test_client_without_a_deployment_uses_the_account_that_boto3_finds(account: None) -> None:
    assert Client().place.account == "123456789012"


def test_account_without_the_stack_is_told_with_the_hint(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_CloudFormation, "is_deployed", False)

    with pytest.raises(NotDeployedError) as refusal:
        connect(hint="Deploy it.")

    assert refusal.value.hint == "Deploy it."


@pytest.mark.parametrize(
    ("endpoint", "has_console"),
    [
        ("https://cloudformation.eu-central-1.amazonaws.com", True),
        ("https://cloudformation.cn-north-1.amazonaws.com.cn", True),
        ("http://127.0.0.1:4566", False),
        ("https://amazonaws.com.example.org", False),
    ],
)
def test_console_is_there_where_the_endpoint_is_awss_own(endpoint: str, has_console: bool) -> None:
    outputs = [{"OutputKey": name, "OutputValue": value} for name, value in OUTPUTS.items()]
    cloudformation = SimpleNamespace(
        meta=SimpleNamespace(endpoint_url=endpoint),
        describe_stacks=lambda **_: {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "Outputs": outputs}]},
    )
    session: Any = SimpleNamespace(client=lambda *_, **__: cloudformation)

    assert AwsDeployment(Clients(session)).place.has_console is has_console


def test_missing_credentials_are_told() -> None:
    with pytest.raises(CredentialsError, match="no AWS credentials"):
        connect(region="eu-central-1")


def test_missing_region_is_told(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    with pytest.raises(ConfigurationError, match="no AWS Region"):
        connect()


def test_profile_that_does_not_exist_is_told() -> None:
    with pytest.raises(ConfigurationError, match="nobody"):
        connect(profile="nobody")


def test_given_environment_stands_for_the_process_own(endpoint_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)

    deployment = connect(environment=_environment(endpoint_url))

    assert deployment.place.state_machine_arn == STATE_MACHINE
    assert deployment.place.console_url("arn") is None
