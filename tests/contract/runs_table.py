"""The runs table as docs/architecture.md lays it out, on moto's DynamoDB."""

from typing import TYPE_CHECKING, Any

import boto3

from runctl.model.names import Index
from runctl.store.budgets import BudgetsTable
from runctl.store.runs import RunsTable
from tests.contract.budgets_table import TABLE as BUDGETS_TABLE
from tests.contract.budgets_table import make_budgets_table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

TABLE = "runs"
REGION = "us-east-1"


def make_table(client: "DynamoDBClient", name: str = TABLE) -> None:
    """Create the table and its three indexes."""
    text_attributes = ("pk", "sk", "instance_id", "open", "project", "created_at")
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in text_attributes],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": Index.BY_INSTANCE.value,
                "KeySchema": [{"AttributeName": "instance_id", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["number"]},
            },
            _index_by_time(Index.OPEN_RUNS, "open"),
            _index_by_time(Index.BY_PROJECT, "project"),
        ],
    )


def _index_by_time(index: Index, attribute: str) -> Any:
    return {
        "IndexName": index.value,
        "KeySchema": [
            {"AttributeName": attribute, "KeyType": "HASH"},
            {"AttributeName": "created_at", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
    }


def no_sleep(_seconds: float) -> None:
    """Take no time."""


def a_runs_table() -> RunsTable:
    """Make an empty table; call it under moto's mock."""
    client = boto3.client("dynamodb", region_name=REGION)
    make_table(client)
    make_budgets_table(client)
    budgets = BudgetsTable(BUDGETS_TABLE, client, sleep=no_sleep)
    return RunsTable(TABLE, client, budgets=budgets, sleep=no_sleep)
