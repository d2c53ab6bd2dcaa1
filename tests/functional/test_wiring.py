"""How a function finds what was deployed, and what it makes of it."""

import importlib
from typing import Any

import pytest

from runctl.aws.clients import CONFIG, LazyClient
from runctl.aws.environment import FunctionEnvironment
from runctl.controller.deployment import Deployment
from runctl.errors import ConfigurationError
from runctl.model.names import Function, Variable

PORTS = (
    "runs",
    "ledger",
    "pages",
    "machines",
    "prices",
    "commands",
    "tokens",
    "executions",
    "bucket",
    "schedules",
    "notifications",
    "metrics",
    "slack_webhooks",
    "slack_posts",
    "slack_later",
    "settings",
)


class CountingSession:
    """A session that writes down which clients were made."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def client(self, service_name: Any, *, config: Any = None) -> Any:
        """Make a client that has nothing but its service's name."""
        self.made.append(service_name)
        return type("Client", (), {"service": service_name, "config": config})()


@pytest.mark.parametrize("function", Function)
def test_every_function_has_a_handler_and_a_log_of_its_own_name(function: Function) -> None:
    module = importlib.import_module(f"lambdas.{function.value}.handler")

    assert callable(module.handler)
    assert module.logger.service == function.value


def test_ports_are_made_without_any_client() -> None:
    session = CountingSession()
    deployment = Deployment(session, FunctionEnvironment())

    ports = [getattr(deployment, name) for name in PORTS]

    assert len(ports) == len(PORTS)
    assert session.made == []
    assert deployment.runs is ports[0]


def test_a_lazy_client_is_made_once_at_its_first_use() -> None:
    session = CountingSession()
    client = LazyClient(lambda: session.client("ec2", config=CONFIG))
    before = list(session.made)

    services = (client.service, client.service)

    assert before == []
    assert services == ("ec2", "ec2")
    assert session.made == ["ec2"]


@pytest.mark.parametrize("variable", [Variable.RUNS_TABLE, Variable.BUCKET, Variable.TOPIC_ARN])
def test_a_variable_that_is_missing_is_named(variable: Variable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variable.value)
    deployment = Deployment(CountingSession(), FunctionEnvironment())

    with pytest.raises(ConfigurationError, match=variable.value):
        _ = (deployment.runs, deployment.bucket, deployment.notifications)


def test_the_environment_is_not_read_before_it_is_needed() -> None:
    environment = FunctionEnvironment({Variable.SUBNET_IDS.value: "subnet-a, subnet-b,"})

    assert environment.subnet_ids == ("subnet-a", "subnet-b")
    with pytest.raises(ConfigurationError, match="RUNCTL_RUNS_TABLE"):
        _ = environment.runs_table
