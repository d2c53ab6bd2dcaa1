"""What machines cost."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import boto3
import pytest

from runctl.aws.price_list import PriceList, price_list_config
from runctl.aws.prices import SPOT_KEPT_FOR, Ec2Prices, bundled_table
from runctl.errors import AwsUnavailable, PermissionDenied, RunctlError
from runctl.model.price import Price, PriceSource
from runctl.model.run import PurchaseOption
from runctl.store.prices import PriceTable
from tests.contract.runs_table import REGION, TABLE, make_table
from tests.contract.stubs import stubbed

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
ON_DEMAND = PurchaseOption.ON_DEMAND
SPOT = PurchaseOption.SPOT


def in_virginia(client: Any) -> Ec2Prices:
    """Make the gateway for us-east-1."""
    return Ec2Prices(client, "us-east-1", now=lambda: NOW)


def usd(price: Price | None) -> str | None:
    """The amount as it was told."""
    return None if price is None else str(price.usd_per_hour)


def told(zone: str, price: str, hours_ago: float = 1) -> dict[str, Any]:
    """Make an entry of the price history."""
    return {
        "AvailabilityZone": zone,
        "InstanceType": "g5.xlarge",
        "ProductDescription": "Linux/UNIX",
        "SpotPrice": price,
        "Timestamp": NOW - timedelta(hours=hours_ago),
    }


ASKED = {"InstanceTypes": ["g5.xlarge"], "ProductDescriptions": ["Linux/UNIX"], "StartTime": NOW}


def test_a_spot_price_is_the_newest_of_its_zone() -> None:
    with stubbed("ec2", in_virginia) as (prices, stubber):
        history = [told("us-east-1a", "0.40", 1), told("us-east-1a", "0.60", 9), told("us-east-1b", "0.50", 2)]
        stubber.add_response("describe_spot_price_history", {"SpotPriceHistory": history}, expected_params=ASKED)

        price = prices.price("g5.xlarge", "us-east-1a", SPOT)

    assert price == Price(
        usd_per_hour=Decimal("0.40"), source=PriceSource.SPOT_HISTORY, as_of="2026-11-01T11:00:00.000Z"
    )


def test_a_spot_price_is_kept_for_minutes_and_asked_for_again_after() -> None:
    clock = [NOW]
    with stubbed("ec2", lambda client: Ec2Prices(client, "us-east-1", now=lambda: clock[0])) as (prices, stubber):
        for price in ("0.40", "0.50"):
            stubber.add_response("describe_spot_price_history", {"SpotPriceHistory": [told("us-east-1a", price)]})
        first = usd(prices.price("g5.xlarge", "us-east-1a", SPOT))
        clock[0] += SPOT_KEPT_FOR - timedelta(seconds=1)
        kept = usd(prices.price("g5.xlarge", "us-east-1a", SPOT))
        clock[0] += timedelta(seconds=1)

        assert (first, kept, usd(prices.price("g5.xlarge", "us-east-1a", SPOT))) == ("0.40", "0.40", "0.50")


def test_how_prices_moved_is_asked_once_for_all_types_and_told_in_order() -> None:
    since = NOW - timedelta(hours=9)
    with stubbed("ec2", in_virginia) as (prices, stubber):
        asked = {**ASKED, "InstanceTypes": ["g5.xlarge", "g6.xlarge"], "StartTime": since}
        history = [told("us-east-1a", "0.40", 1), told("us-east-1a", "0.60", 12), told("us-east-1b", "0.50", 2)]
        stubber.add_response("describe_spot_price_history", {"SpotPriceHistory": history}, expected_params=asked)

        steps = prices.spot_steps(["g6.xlarge", "g5.xlarge", "g5.xlarge"], since)

    assert [str(step.usd_per_hour) for step in steps["g5.xlarge", "us-east-1a"]] == ["0.60", "0.40"]
    assert len(steps["g5.xlarge", "us-east-1b"]) == 1


def test_no_more_is_asked_for_than_ec2_keeps() -> None:
    with stubbed("ec2", in_virginia) as (prices, stubber):
        asked = {**ASKED, "StartTime": NOW - timedelta(days=90)}
        stubber.add_response("describe_spot_price_history", {"SpotPriceHistory": []}, expected_params=asked)

        assert prices.spot_steps(["g5.xlarge"], NOW - timedelta(days=200)) == {}


def test_prices_of_all_zones_are_found_over_all_pages() -> None:
    with stubbed("ec2", in_virginia) as (prices, stubber):
        stubber.add_response(
            "describe_spot_price_history", {"SpotPriceHistory": [told("us-east-1a", "0.40")], "NextToken": "more"}
        )
        stubber.add_response(
            "describe_spot_price_history",
            {"SpotPriceHistory": [told("us-east-1b", "0.55"), told("us-east-1c", "0.45")]},
        )

        found = {zone: usd(price) for zone, price in prices.spot_by_zone("g5.xlarge").items()}

    assert found == {"us-east-1a": "0.40", "us-east-1b": "0.55", "us-east-1c": "0.45"}


def test_a_zone_without_a_spot_price_is_not_known() -> None:
    with stubbed("ec2", in_virginia) as (prices, stubber):
        stubber.add_response("describe_spot_price_history", {"SpotPriceHistory": []})

        assert prices.price("g5.xlarge", "us-east-1a", SPOT) is None
        assert prices.spot_by_zone("g5.xlarge") == {}


def test_a_refused_question_is_not_an_unknown_price() -> None:
    with stubbed("ec2", in_virginia) as (prices, stubber), pytest.raises(PermissionDenied):
        stubber.add_client_error("describe_spot_price_history", service_error_code="UnauthorizedOperation")
        prices.price("g5.xlarge", "us-east-1a", SPOT)


# -- on demand ---------------------------------------------------------------------------------------------------


@dataclass
class FakeList:
    """The Price List: one price, or none, or a refusal."""

    answer: Decimal | None = Decimal("1.20")
    raises: RunctlError | None = None
    asked: int = 0

    def on_demand_usd_per_hour(self, instance_type: str) -> Decimal | None:
        self.asked += 1
        if self.raises is not None:
            raise self.raises
        return self.answer


@dataclass
class Kept:
    """What is kept for all, in memory."""

    prices: dict[tuple[str, str], Price] = field(default_factory=dict[tuple[str, str], Price])

    def get(self, region: str, instance_type: str) -> Price | None:
        return self.prices.get((region, instance_type))

    def put(self, region: str, instance_type: str, price: Price) -> None:
        self.prices[region, instance_type] = price


def on_demand(
    listed: FakeList | None, kept: Kept | None = None, region: str = "us-east-1", at: list[datetime] | None = None
) -> Ec2Prices:
    clock = [NOW] if at is None else at
    return Ec2Prices(cast("Any", None), region, listed, kept, now=lambda: clock[0])


def test_an_on_demand_price_is_the_price_lists_and_is_kept_for_all() -> None:
    listed, kept = FakeList(), Kept()

    price = on_demand(listed, kept).price("g5.xlarge", "us-east-1a", ON_DEMAND)
    for_another = on_demand(listed, kept).price("g5.xlarge", "us-east-1b", ON_DEMAND)

    assert price == for_another == kept.get("us-east-1", "g5.xlarge")
    assert price is not None
    assert (price.usd_per_hour, price.source) == (Decimal("1.20"), PriceSource.PRICE_LIST)
    assert listed.asked == 1


def test_a_price_that_was_kept_for_a_day_is_asked_for_again() -> None:
    listed, clock = FakeList(), [NOW]
    prices = on_demand(listed, Kept(), at=clock)
    prices.on_demand("g5.xlarge")
    clock[0] += timedelta(hours=23)
    prices.on_demand("g5.xlarge")
    clock[0] += timedelta(hours=2)

    prices.on_demand("g5.xlarge")

    assert listed.asked == 2


@pytest.mark.parametrize("listed", [None, FakeList(answer=None), FakeList(raises=PermissionDenied("No."))])
def test_where_the_list_does_not_answer_the_bundled_table_does_and_says_so(listed: FakeList | None) -> None:
    price = on_demand(listed, Kept()).on_demand("g5.xlarge")

    assert price == Price(usd_per_hour=Decimal("1.006"), source=PriceSource.BUNDLED, as_of="2026-11")


def test_what_was_kept_is_better_than_the_bundled_table_when_the_list_is_silent() -> None:
    old = Price(usd_per_hour=Decimal("1.10"), source=PriceSource.PRICE_LIST, as_of="2026-09-01T00:00:00.000Z")
    kept = Kept({("us-east-1", "g5.xlarge"): old})

    assert on_demand(FakeList(raises=AwsUnavailable("No answer.")), kept).on_demand("g5.xlarge") == old


def test_a_silent_list_is_left_alone_for_a_while() -> None:
    listed, clock = FakeList(raises=AwsUnavailable("No answer.")), [NOW]
    prices = on_demand(listed, at=clock)

    for _ in range(5):
        prices.on_demand("g5.xlarge")
        prices.on_demand("m5.large")
    clock[0] += timedelta(minutes=11)
    prices.on_demand("g5.xlarge")

    assert listed.asked == 2


def test_an_on_demand_price_that_nobody_tells_is_not_guessed() -> None:
    assert on_demand(None, region="eu-central-1").on_demand("g5.xlarge") is None
    assert on_demand(None).on_demand("x99.unheard-of") is None


# -- the Price List ----------------------------------------------------------------------------------------------


def a_product(usd: str, unit: str = "Hrs") -> str:
    """A product as the list tells it: JSON in a string."""
    dimension = {"unit": unit, "pricePerUnit": {"USD": usd}}
    term = {"priceDimensions": {"SKU.JRTCKXETXF.6YS6EN2CT7": dimension}, "offerTermCode": "JRTCKXETXF"}
    product = {"productFamily": "Compute Instance", "attributes": {"instanceType": "g5.xlarge"}, "sku": "SKU"}
    return json.dumps({"product": product, "terms": {"OnDemand": {"SKU.JRTCKXETXF": term}}, "serviceCode": "AmazonEC2"})


def in_ireland(client: Any) -> PriceList:
    return PriceList(client, "eu-west-1")


def test_the_price_list_is_asked_for_plain_linux_on_shared_hardware() -> None:
    with stubbed("pricing", in_ireland) as (prices, stubber):
        fields = {
            "operatingSystem": "Linux",
            "tenancy": "Shared",
            "preInstalledSw": "NA",
            "capacitystatus": "Used",
            "marketoption": "OnDemand",
            "instanceType": "g5.xlarge",
            "regionCode": "eu-west-1",
        }
        asked = {
            "ServiceCode": "AmazonEC2",
            "FormatVersion": "aws_v1",
            "Filters": [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()],
        }
        answer = {"PriceList": [a_product("1.1230000000"), a_product("0.0000000000"), a_product("99", "Quantity")]}
        stubber.add_response("get_products", answer, expected_params=asked)

        assert prices.on_demand_usd_per_hour("g5.xlarge") == Decimal("1.123")


def test_a_type_that_the_list_does_not_have_has_no_price() -> None:
    with stubbed("pricing", in_ireland) as (prices, stubber):
        stubber.add_response("get_products", {"PriceList": []})

        assert prices.on_demand_usd_per_hour("x99.large") is None


@pytest.mark.parametrize(
    ("region", "asked"),
    [
        ("eu-west-1", "eu-central-1"),
        ("me-central-1", "eu-central-1"),
        ("ap-northeast-1", "ap-south-1"),
        ("us-west-2", "us-east-1"),
        ("sa-east-1", "us-east-1"),
    ],
)
def test_the_list_is_asked_where_it_answers(region: str, asked: str) -> None:
    client = boto3.Session(region_name=region, aws_access_key_id="a", aws_secret_access_key="b").client(
        "pricing", config=price_list_config(region)
    )

    assert client.meta.region_name == asked
    assert client.meta.endpoint_url == f"https://api.pricing.{asked}.amazonaws.com"


# -- what is kept ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("aws")
def test_a_price_is_read_as_it_was_kept() -> None:
    client = boto3.client("dynamodb", region_name=REGION)
    make_table(client)
    table = PriceTable(TABLE, client)
    price = Price(usd_per_hour=Decimal("1.0060"), source=PriceSource.PRICE_LIST, as_of="2026-11-01T00:00:00.000Z")

    before = table.get("us-east-1", "g5.xlarge")
    table.put("us-east-1", "g5.xlarge", price)
    table.put("us-east-1", "g5.xlarge", price)

    assert before is None
    assert table.get("us-east-1", "g5.xlarge") == price
    assert table.get("eu-west-1", "g5.xlarge") is None


def test_the_bundled_table_is_small_and_says_where_it_is_from() -> None:
    table = bundled_table()

    types = table["regions"]["us-east-1"]
    assert table["source"]
    assert table["as_of"]
    assert len(types) <= 40
    assert all(Decimal(price) > 0 for price in types.values())
