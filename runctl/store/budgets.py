"""The budgets table in DynamoDB: `BudgetStore` of runctl/controller/ports.py.

`pk=LEDGER, sk=<scope>` and `pk=RESERVATION, sk=<run id>`: a few items are read together, and the writes of one
partition (1,000 units a second) are enough for a hundred admissions a second.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from runctl.aws.errors import aws_errors
from runctl.model.budget import Booking, Budget, BudgetPeriod, Ledger, LedgerChange, Reservation, Scope
from runctl.model.ids import RunId
from runctl.model.ledger import applied, starts_telling_anew
from runctl.store import items
from runctl.store.attributes import decode, encode
from runctl.store.transactions import BOOKING_TRIES, write_unless_refused

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from runctl.store.items import Item

LEDGER: Final = "LEDGER"
RESERVATION: Final = "RESERVATION"

_IS_NEW: Final = f"attribute_not_exists({items.PARTITION_KEY})"


class BudgetsTable:
    """Ledgers and reservations. Sums are added to in conditional writes; a refused one changes nothing."""

    def __init__(
        self, table_name: str, client: "DynamoDBClient", *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._table_name = table_name
        self._client = client
        self._sleep = sleep

    # -- reads ---------------------------------------------------------------------------------------------------

    def ledger(self, scope: Scope) -> Ledger | None:
        """Read a scope's ledger; None when nothing was booked and no budget set."""
        item = self._get(LEDGER, scope.key)
        return None if item is None else Ledger.model_validate(_values(item))

    def ledgers(self) -> tuple[Ledger, ...]:
        """Read all ledgers."""
        return tuple(Ledger.model_validate(_values(item)) for item in self._all(LEDGER))

    def reservation(self, run_id: RunId) -> Reservation | None:
        """Read what is held for a run; None before its admission and after all was paid."""
        item = self._get(RESERVATION, run_id)
        return None if item is None else Reservation.model_validate(_values(item))

    def reservations(self) -> Iterator[Reservation]:
        """Go through all reservations."""
        for item in self._all(RESERVATION):
            yield Reservation.model_validate(_values(item))

    # -- writes --------------------------------------------------------------------------------------------------

    def write(self, booking: Booking) -> bool:
        """Move money, all of it or none; False when it is not as the booking expects."""
        return write_unless_refused(self._client, self.actions(booking), sleep=self._sleep, tries=BOOKING_TRIES)

    def set_budget(self, read: Ledger, period: BudgetPeriod, budget: Budget | None, *, is_new: bool = False) -> bool:
        """Set a budget, or remove it, on the ledger as it was read, or on a new one; False when somebody changed it
        meanwhile."""
        budgets = {key: each for key, each in read.budgets.items() if key is not period}
        if budget is not None:
            budgets[period] = budget
        if is_new:
            changed = read.model_copy(update={"budgets": budgets, "budgets_version": 1})
            return self._try([self._put_new(LEDGER, read.scope.key, changed)])
        update = _Update(self._table_name, LEDGER, read.scope.key)
        update.set("budgets", {key: each.model_dump() for key, each in budgets.items()})
        update.set("budgets_version", read.budgets_version + 1)
        update.require("budgets_version", "=", read.budgets_version)
        if budget is not None:
            if starts_telling_anew(read, period, budget):
                update.set(f"periods.{period.value}.told", ())
            # What was admitted since the ledger was read may not leave less room than the amount was checked for.
            sums = read.periods[period]
            update.require(f"periods.{period.value}.start", "=", sums.start)
            update.require(f"periods.{period.value}.committed_usd", "<=", max(budget.amount_usd, sums.committed_usd))
        return self._try([update.action()])

    def mark_told(self, scope: Scope, period: BudgetPeriod, start: datetime, told: tuple[int, ...]) -> bool:
        """Write which thresholds people were told of in this period; False when they were, or it is over."""
        update = _Update(self._table_name, LEDGER, scope.key)
        update.set(f"periods.{period.value}.told", told)
        update.require(f"periods.{period.value}.start", "=", start)
        update.require(f"periods.{period.value}.told", "<>", told)
        return self._try([update.action()])

    def actions(self, booking: Booking) -> "list[TransactWriteItemTypeDef]":
        """The writes of a booking, for a transaction of its own or together with a run's."""
        return [self._reservation_action(booking), *(self._ledger_action(change) for change in booking.changes)]

    # -- the table -----------------------------------------------------------------------------------------------

    def _reservation_action(self, booking: Booking) -> "TransactWriteItemTypeDef":
        before, after = booking.version_before, booking.reservation
        if before is None:
            assert after is not None
            return self._put_new(RESERVATION, booking.run_id, after)
        condition = "#version = :version"
        names, values = {"#version": "version"}, {":version": encode(before)}
        if after is None:
            return {
                "Delete": {
                    "TableName": self._table_name,
                    "Key": _key(RESERVATION, booking.run_id),
                    "ConditionExpression": condition,
                    "ExpressionAttributeNames": names,
                    "ExpressionAttributeValues": values,
                }
            }
        return {
            "Put": {
                "TableName": self._table_name,
                "Item": _item(RESERVATION, booking.run_id, after),
                "ConditionExpression": condition,
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            }
        }

    def _ledger_action(self, change: LedgerChange) -> "TransactWriteItemTypeDef":
        if change.is_new:
            first = applied(None, change)
            assert first is not None
            return self._put_new(LEDGER, change.scope.key, first)
        update = _Update(self._table_name, LEDGER, change.scope.key)
        update.add("reserved_usd", change.reserved_delta_usd)
        for period, start in change.starts.items():
            path, before = f"periods.{period.value}", change.starts_before[period]
            spent = change.spent_delta_usd.get(period, Decimal(0))
            update.require(f"{path}.start", "=", before)
            if before == start:
                update.add(f"{path}.spent_usd", spent)
                update.add(f"{path}.committed_usd", change.reserved_delta_usd + spent)
            else:
                update.set(f"{path}.start", start)
                update.set(f"{path}.told", ())
                update.set(f"{path}.spent_usd", spent)
                update.set_sum(f"{path}.committed_usd", "reserved_usd", change.reserved_delta_usd + spent)
            if period in change.at_most_usd:
                compared = f"{path}.committed_usd" if before == start else "reserved_usd"
                update.require(compared, "<=", change.at_most_usd[period])
        if change.budgets_version is not None:
            update.require("budgets_version", "=", change.budgets_version)
        return update.action()

    def _put_new(self, partition: str, sort: str, model: Ledger | Reservation) -> "TransactWriteItemTypeDef":
        item = _item(partition, sort, model)
        return {"Put": {"TableName": self._table_name, "Item": item, "ConditionExpression": _IS_NEW}}

    def _get(self, partition: str, sort: str) -> "Item | None":
        with aws_errors():
            answer = self._client.get_item(TableName=self._table_name, Key=_key(partition, sort), ConsistentRead=True)
        return answer.get("Item")

    def _all(self, partition: str) -> Iterator["Item"]:
        with aws_errors():
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table_name,
                KeyConditionExpression="#pk = :pk",
                ExpressionAttributeNames={"#pk": items.PARTITION_KEY},
                ExpressionAttributeValues={":pk": {"S": partition}},
                ConsistentRead=True,
            )
            for page in pages:
                yield from page["Items"]

    def _try(self, actions: "list[TransactWriteItemTypeDef]") -> bool:
        return write_unless_refused(self._client, actions, sleep=self._sleep)


class _Update:
    """One Update of a transaction, put together from paths like `periods.day.spent_usd`."""

    def __init__(self, table_name: str, partition: str, sort: str) -> None:
        self._table_name = table_name
        self._key = _key(partition, sort)
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._assignments: list[str] = []
        self._conditions: list[str] = []

    def set(self, path: str, value: object) -> None:
        """Replace a value."""
        self._assignments.append(f"{self._path(path)} = {self._value(value)}")

    def add(self, path: str, amount: Decimal) -> None:
        """Add to a number."""
        self.set_sum(path, path, amount)

    def set_sum(self, path: str, of: str, amount: Decimal) -> None:
        """Make a number the sum of what another one was before, and an amount."""
        self._assignments.append(f"{self._path(path)} = {self._path(of)} + {self._value(amount)}")

    def require(self, path: str, comparison: str, value: object) -> None:
        """Write only if this is so."""
        self._conditions.append(f"{self._path(path)} {comparison} {self._value(value)}")

    def action(self) -> "TransactWriteItemTypeDef":
        """The Update as DynamoDB takes it."""
        return {
            "Update": {
                "TableName": self._table_name,
                "Key": self._key,
                "UpdateExpression": f"SET {', '.join(self._assignments)}",
                "ConditionExpression": " AND ".join(self._conditions),
                "ExpressionAttributeNames": self._names,
                "ExpressionAttributeValues": self._values,
            }
        }

    def _path(self, path: str) -> str:
        parts = path.split(".")
        self._names.update({f"#{part}": part for part in parts})
        return ".".join(f"#{part}" for part in parts)

    def _value(self, value: object) -> str:
        name = f":v{len(self._values)}"
        self._values[name] = encode(value)
        return name


def _key(partition: str, sort: str) -> "Item":
    return {items.PARTITION_KEY: {"S": partition}, items.SORT_KEY: {"S": sort}}


def _item(partition: str, sort: str, model: Ledger | Reservation) -> "Item":
    fields = {name: encode(value) for name, value in model.model_dump().items() if value is not None}
    return _key(partition, sort) | fields


def _values(item: "Item") -> dict[str, Any]:
    return {name: decode(value) for name, value in item.items() if name not in (items.PARTITION_KEY, items.SORT_KEY)}
