"""What the contract suites run on: moto for AWS, and every implementation of the runs store."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from runctl.controller.ports import RunStore
from runctl.store.budgets import BudgetsTable
from tests.contract.budgets_table import TABLE as BUDGETS_TABLE
from tests.contract.runs_table import REGION, a_runs_table, no_sleep
from tests.contract.stores import Stores
from tests.fakes.runs import InMemoryRunStore


@pytest.fixture(autouse=True)
def no_real_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no call find an account: whatever is not mocked fails."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def aws() -> Iterator[None]:
    """Play AWS with moto."""
    with mock_aws():
        yield


@pytest.fixture(params=["DynamoDB", "in memory"])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """Make both tables, empty, of each implementation."""
    if request.param == "in memory":
        runs = InMemoryRunStore()
        yield Stores(runs, runs.budgets)
        return
    with mock_aws():
        table = a_runs_table()
        yield Stores(table, BudgetsTable(BUDGETS_TABLE, boto3.client("dynamodb", region_name=REGION), sleep=no_sleep))


@pytest.fixture(params=["DynamoDB", "in memory"])
def store(request: pytest.FixtureRequest) -> Iterator[RunStore]:
    """Make an empty store of each implementation."""
    if request.param == "in memory":
        yield InMemoryRunStore()
        return
    with mock_aws():
        yield a_runs_table()
