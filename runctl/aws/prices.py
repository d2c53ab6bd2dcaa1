"""What machines cost: `Prices` of runctl/controller/ports.py.

Spot prices come from EC2's history and are kept for minutes in the memory of whoever asks; on-demand prices come from
the AWS Price List and are kept for a day in the runs table, for all. When nobody answers, a small table that comes with
runctl does, and the price says so.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from runctl.aws.errors import aws_errors
from runctl.errors import RunctlError
from runctl.model.base import iso
from runctl.model.price import Price, PriceSource, PriceStep
from runctl.model.run import PurchaseOption

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client

SPOT_KEPT_FOR: Final = timedelta(minutes=4)
"""Less than the cost watch's five minutes, so that each watch sees new prices."""

ON_DEMAND_KEPT_FOR: Final = timedelta(days=1)
"""AWS changes an on-demand price once in years, and tells it before."""

ASK_AGAIN_AFTER: Final = timedelta(minutes=10)
"""After the Price List has not answered: each try costs seconds."""

_PRODUCT: Final = "Linux/UNIX"
"""The product description of shared Linux in DescribeSpotPriceHistory, outside of EC2-Classic."""

_HISTORY: Final = timedelta(days=90)
"""As far back as EC2 tells (EC2 API Reference, DescribeSpotPriceHistory)."""


class OnDemandList(Protocol):
    """The AWS Price List."""

    def on_demand_usd_per_hour(self, instance_type: str) -> Decimal | None:
        """Ask for a type's price; None when the list does not have it."""
        ...


class KeptPrices(Protocol):
    """Where on-demand prices are kept for all."""

    def get(self, region: str, instance_type: str) -> Price | None:
        """Read what was kept, however old."""
        ...

    def put(self, region: str, instance_type: str, price: Price) -> None:
        """Keep it."""
        ...


class Ec2Prices:
    """Prices of a Region. A price that is not known is None, never a guess."""

    def __init__(
        self,
        client: "EC2Client",
        region: str,
        price_list: OnDemandList | None = None,
        kept: KeptPrices | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._region = region
        self._list = price_list
        self._kept = kept
        self._now = now
        self._spot: dict[str, tuple[datetime, dict[str, PriceStep]]] = {}
        self._on_demand: dict[str, Price] = {}
        self._silent_until = datetime.min.replace(tzinfo=UTC)

    # -- now -----------------------------------------------------------------------------------------------------

    def price(self, instance_type: str, availability_zone: str, option: PurchaseOption) -> Price | None:
        """Price of an hour now, and who says so; None when it is not known."""
        if option is PurchaseOption.ON_DEMAND:
            return self.on_demand(instance_type)
        return self.spot_by_zone(instance_type).get(availability_zone)

    def spot_by_zone(self, instance_type: str) -> dict[str, Price]:
        """Spot prices of an hour now in each Availability Zone that has the type."""
        at = self._now()
        asked_at, steps = self._spot.get(instance_type, (datetime.min.replace(tzinfo=UTC), {}))
        if at - asked_at >= SPOT_KEPT_FOR:
            # The history from now on is the price that holds now (EC2 API Reference, DescribeSpotPriceHistory).
            steps = {zone: told[-1] for (_, zone), told in self._history([instance_type], at).items()}
            self._spot[instance_type] = (at, steps)
        return {
            zone: Price(usd_per_hour=step.usd_per_hour, source=PriceSource.SPOT_HISTORY, as_of=iso(step.since))
            for zone, step in steps.items()
        }

    def on_demand(self, instance_type: str) -> Price | None:
        """On-demand price of an hour, the same in every zone."""
        at = self._now()
        known = self._on_demand.get(instance_type)
        if known is None and self._kept is not None:
            known = self._kept.get(self._region, instance_type)
        if known is None or not _is_fresh(known, at):
            known = self._listed(instance_type, at) or known or _bundled(self._region, instance_type)
        if known is not None:
            self._on_demand[instance_type] = known
        return known

    def _listed(self, instance_type: str, at: datetime) -> Price | None:
        """Ask the Price List; whatever keeps it from answering, another price stands in and says so."""
        if self._list is None or at < self._silent_until:
            return None
        try:
            usd = self._list.on_demand_usd_per_hour(instance_type)
        except RunctlError:
            self._silent_until = at + ASK_AGAIN_AFTER
            return None
        if usd is None:
            return None
        price = Price(usd_per_hour=usd, source=PriceSource.PRICE_LIST, as_of=iso(at))
        if self._kept is not None:
            self._kept.put(self._region, instance_type, price)
        return price

    # -- over time -----------------------------------------------------------------------------------------------

    def spot_steps(
        self, instance_types: Iterable[str], since: datetime
    ) -> Mapping[tuple[str, str], tuple[PriceStep, ...]]:
        """How spot prices moved since a moment, by type and Availability Zone, the price in force then included.

        One question for all types; EC2 answers a thousand changes a page.
        """
        wanted = sorted(set(instance_types))
        return self._history(wanted, max(since, self._now() - _HISTORY)) if wanted else {}

    def _history(self, instance_types: list[str], start: datetime) -> dict[tuple[str, str], tuple[PriceStep, ...]]:
        request: dict[str, Any] = {
            "InstanceTypes": instance_types,
            "ProductDescriptions": [_PRODUCT],
            "StartTime": start,
        }
        steps: dict[tuple[str, str], list[PriceStep]] = {}
        with aws_errors():
            for page in self._client.get_paginator("describe_spot_price_history").paginate(**request):
                for entry in page["SpotPriceHistory"]:
                    price, at = entry.get("SpotPrice"), entry.get("Timestamp")
                    if price is not None and at is not None:
                        pool = (str(entry.get("InstanceType", "")), entry.get("AvailabilityZone", ""))
                        steps.setdefault(pool, []).append(PriceStep(since=at, usd_per_hour=Decimal(price)))
        return {pool: tuple(sorted(found, key=lambda step: step.since)) for pool, found in steps.items()}


def _is_fresh(price: Price, at: datetime) -> bool:
    return price.source is PriceSource.PRICE_LIST and at - datetime.fromisoformat(price.as_of) < ON_DEMAND_KEPT_FOR


def _bundled(region: str, instance_type: str) -> Price | None:
    """Look up the bundled table; None when the type or the Region is not in it."""
    table = bundled_table()
    usd = table["regions"].get(region, {}).get(instance_type)
    return None if usd is None else Price(usd_per_hour=Decimal(usd), source=PriceSource.BUNDLED, as_of=table["as_of"])


@cache
def bundled_table() -> Mapping[str, Any]:
    """The table that comes with runctl: on-demand prices by Region and type, with date and source."""
    text = Path(__file__).with_name("on_demand_prices.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table
