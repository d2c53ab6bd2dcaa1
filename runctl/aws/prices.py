"""What machines cost: `Prices` of runctl/controller/ports.py."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runctl.aws.errors import aws_errors
from runctl.model.run import PurchaseOption

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client

_PRODUCT: Final = "Linux/UNIX"
"""The product description of shared Linux in DescribeSpotPriceHistory, outside of EC2-Classic."""


class Ec2Prices:
    """Spot prices as EC2 tells them now; on-demand prices from a small table, for the Price List API answers in a few
    Regions only, with pages of kilobytes a type. A price that is not known is None, never a guess."""

    def __init__(
        self,
        client: "EC2Client",
        region: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._region = region
        self._now = now

    def usd_per_hour(self, instance_type: str, availability_zone: str, option: PurchaseOption) -> Decimal | None:
        """Price of an hour now; None when it is not known."""
        if option is PurchaseOption.ON_DEMAND:
            return on_demand_usd_per_hour(self._region, instance_type)
        return self._spot_by_zone(instance_type).get(availability_zone)

    def highest_usd_per_hour(self, instance_type: str, option: PurchaseOption) -> Decimal | None:
        """Price of an hour now in the dearest Availability Zone that has the type; None when it is not known."""
        if option is PurchaseOption.ON_DEMAND:
            return on_demand_usd_per_hour(self._region, instance_type)
        return max(self._spot_by_zone(instance_type).values(), default=None)

    def _spot_by_zone(self, instance_type: str) -> dict[str, Decimal]:
        # The history from now on is the price that holds now (EC2 API Reference, DescribeSpotPriceHistory).
        request: dict[str, Any] = {
            "InstanceTypes": [instance_type],
            "ProductDescriptions": [_PRODUCT],
            "StartTime": self._now(),
        }
        newest: dict[str, tuple[datetime, Decimal]] = {}
        with aws_errors():
            for page in self._client.get_paginator("describe_spot_price_history").paginate(**request):
                for entry in page["SpotPriceHistory"]:
                    price, at = entry.get("SpotPrice"), entry.get("Timestamp")
                    if price is not None and at is not None:
                        zone, told = entry.get("AvailabilityZone", ""), (at, Decimal(price))
                        newest[zone] = max(newest.get(zone, told), told)
        return {zone: price for zone, (_, price) in newest.items()}


def on_demand_usd_per_hour(region: str, instance_type: str) -> Decimal | None:
    """Look up the bundled table; None when the type or the Region is not in it."""
    price = _table().get(region, {}).get(instance_type)
    return None if price is None else Decimal(price)


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    text = Path(__file__).with_name("on_demand_prices.json").read_text(encoding="utf-8")
    regions: dict[str, dict[str, str]] = json.loads(text)["regions"]
    return regions
