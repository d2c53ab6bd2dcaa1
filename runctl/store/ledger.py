"""What is added up of money in the runs table: `SpendingLedger` of runctl/controller/ports.py."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from runctl.aws.errors import aws_errors
from runctl.model import keys
from runctl.model.base import iso
from runctl.model.figures import Figures, RunFigures
from runctl.model.price import Spending
from runctl.store import items
from runctl.store.attributes import decode, encode
from runctl.store.transactions import write

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from runctl.store.items import Item

RUNS_AN_ITEM: Final = 2_000
"""Figures of so many runs are some 200 KB; an item may have 400 (DynamoDB Developer Guide, "Quotas")."""


class LedgerTable:
    """The runs table's partitions of days, months and figures."""

    def __init__(self, table_name: str, client: "DynamoDBClient") -> None:
        self._table_name = table_name
        self._client = client

    def month_usd(self, month: str) -> Decimal:
        """What was settled in a month."""
        with aws_errors():
            answer = self._client.get_item(TableName=self._table_name, Key=_month_key(month), ConsistentRead=True)
        item = answer.get("Item")
        return Decimal(0) if item is None else Decimal(str(decode(item["usd"])))

    def spendings(self, first: date, last: date) -> Iterator[Spending]:
        """The machines settled that ended from one day to another, both included, oldest first: a question a day."""
        return self._lines(keys.spent_partition, first, last)

    def late_spendings(self, first: date, last: date) -> Iterator[Spending]:
        """Those that were settled on these days, too late for the digest of the day on which they ended."""
        return self._lines(keys.late_partition, first, last)

    def figures(self) -> Figures | None:
        """What the cost watch saw last; None before its first look. Pages of an older look are left out."""
        pages = [
            {name: decode(value) for name, value in item.items() if name not in (items.PARTITION_KEY, items.SORT_KEY)}
            for item in self._partition(keys.FIGURES_PARTITION)
        ]
        if not pages:
            return None
        runs: dict[str, Any] = {}
        for page in pages:
            if page["at"] == pages[0]["at"]:
                runs |= page.get("runs", {})
        return Figures.model_validate({**pages[0], "runs": runs})

    def save_figures(self, figures: Figures) -> None:
        """Keep what the cost watch sees now, in as few items as hold it."""
        runs = list(figures.runs.items())
        pages = [dict(runs[start : start + RUNS_AN_ITEM]) for start in range(0, len(runs), RUNS_AN_ITEM)] or [{}]
        whole = figures.model_dump(exclude={"runs"})
        for number, page in enumerate(pages):
            fields = {**(whole if number == 0 else {"at": figures.at}), "runs": _plain(page)}
            item = _figures_key(number) | {name: encode(value) for name, value in fields.items()}
            write(self._client, [{"Put": {"TableName": self._table_name, "Item": item}}])

    def _lines(self, partition: Callable[[str], str], first: date, last: date) -> Iterator[Spending]:
        day = first
        while day <= last:
            for item in self._partition(partition(day.isoformat())):
                yield items.spending_of(item)
            day += timedelta(days=1)

    def _partition(self, key: str) -> "Iterator[Item]":
        with aws_errors():
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table_name,
                KeyConditionExpression="#pk = :pk",
                ExpressionAttributeNames={"#pk": items.PARTITION_KEY},
                ExpressionAttributeValues={":pk": {"S": key}},
            )
            for page in pages:
                yield from page["Items"]


def month_update(table_name: str, spending: Spending) -> "TransactWriteItemTypeDef":
    """Add a settled machine to the sum of the month in which it ended. Part of the transaction that settles it."""
    return {
        "Update": {
            "TableName": table_name,
            "Key": _month_key(iso(spending.ended_at)[:7]),
            "UpdateExpression": "SET usd = if_not_exists(usd, :zero) + :usd",
            "ExpressionAttributeValues": {":zero": encode(0), ":usd": encode(spending.usd)},
        }
    }


def _month_key(month: str) -> "Item":
    return {items.PARTITION_KEY: {"S": keys.MONTHS_PARTITION}, items.SORT_KEY: {"S": month}}


def _figures_key(number: int) -> "Item":
    return {items.PARTITION_KEY: {"S": keys.FIGURES_PARTITION}, items.SORT_KEY: {"S": f"NOW#{number:04d}"}}


def _plain(page: dict[str, RunFigures]) -> dict[str, Any]:
    return {run_id: run.model_dump() for run_id, run in page.items()}
