"""On-demand prices as items of the runs table, kept for all who ask: `PRICE#<region> / <instance type>`."""

from typing import TYPE_CHECKING

from runctl.aws.errors import aws_errors
from runctl.model import keys
from runctl.model.price import Price
from runctl.store import items
from runctl.store.attributes import decode, encode
from runctl.store.transactions import write

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

    from runctl.store.items import Item


class PriceTable:
    """`KeptPrices` of runctl.aws.prices. A price is written over the older one; which of two that were asked at the
    same moment stands does not matter."""

    def __init__(self, table_name: str, client: "DynamoDBClient") -> None:
        self._table_name = table_name
        self._client = client

    def get(self, region: str, instance_type: str) -> Price | None:
        """Read what was kept, however old; None when nothing was."""
        with aws_errors():
            answer = self._client.get_item(TableName=self._table_name, Key=_key(region, instance_type))
        item = answer.get("Item")
        if item is None:
            return None
        fields = {name: decode(value) for name, value in item.items() if name in Price.model_fields}
        return Price.model_validate(fields)

    def put(self, region: str, instance_type: str, price: Price) -> None:
        """Keep a price."""
        fields = {name: encode(value) for name, value in price.model_dump().items()}
        write(self._client, [{"Put": {"TableName": self._table_name, "Item": _key(region, instance_type) | fields}}])


def _key(region: str, instance_type: str) -> "Item":
    return {items.PARTITION_KEY: {"S": keys.price_partition(region)}, items.SORT_KEY: {"S": instance_type}}
