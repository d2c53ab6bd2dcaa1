"""The AWS Price List: what a machine costs on demand.

It answers in three Regions, for all Regions (AWS Billing User Guide, "Finding services and products using AWS Price
List Query API"), and in none of the China and GovCloud partitions for these.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from botocore.config import Config

from runctl.aws.clients import CONFIG
from runctl.aws.errors import aws_errors

_ENDPOINT_OF: Final = {"eu": "eu-central-1", "me": "eu-central-1", "af": "eu-central-1", "il": "eu-central-1"} | {
    "ap": "ap-south-1"
}
_ELSEWHERE: Final = "us-east-1"

_FILTERS: Final = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}
"""One product is left: a machine with Linux alone on shared hardware, paid when used (attributes of `AmazonEC2` in the
Price List)."""


def price_list_region(region: str) -> str:
    """The nearest Region that answers."""
    return _ENDPOINT_OF.get(region.partition("-")[0], _ELSEWHERE)


def price_list_config(region: str) -> Config:
    """Settings of the client: it is another Region's, and its answer can be done without, so that nobody waits long."""
    patience = Config(connect_timeout=2, read_timeout=6, retries={"mode": "standard", "max_attempts": 2})
    return CONFIG.merge(patience).merge(Config(region_name=price_list_region(region)))


class PriceList:
    """On-demand prices of a Region."""

    def __init__(self, client: Any, region: str) -> None:
        self._client = client
        self._region = region

    def on_demand_usd_per_hour(self, instance_type: str) -> Decimal | None:
        """Ask for a type's price; None when the list does not have it. Of several the dearest counts."""
        wanted = {**_FILTERS, "instanceType": instance_type, "regionCode": self._region}
        filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
        with aws_errors():
            pages = self._client.get_paginator("get_products").paginate(
                ServiceCode="AmazonEC2", Filters=filters, FormatVersion="aws_v1"
            )
            prices = [price for page in pages for text in page["PriceList"] for price in _hourly(json.loads(text))]
        return max(prices, default=None)


def _hourly(product: dict[str, Any]) -> Iterator[Decimal]:
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term.get("priceDimensions", {}).values():
            price = Decimal(dimension.get("pricePerUnit", {}).get("USD", "0"))
            if dimension.get("unit") == "Hrs" and price > 0:
                yield price
