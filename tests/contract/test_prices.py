"""What machines cost."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runctl.aws import prices as prices_module
from runctl.aws.prices import Ec2Prices
from runctl.errors import PermissionDenied
from runctl.model.run import PurchaseOption
from tests.contract.stubs import stubbed

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
ON_DEMAND = PurchaseOption.ON_DEMAND
SPOT = PurchaseOption.SPOT


def in_virginia(client: Any) -> Ec2Prices:
    """Make the gateway for us-east-1."""
    return Ec2Prices(client, "us-east-1", now=lambda: NOW)


def in_frankfurt(client: Any) -> Ec2Prices:
    """Make the gateway for a Region whose on-demand prices are not known."""
    return Ec2Prices(client, "eu-central-1", now=lambda: NOW)


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

        assert prices.usd_per_hour("g5.xlarge", "us-east-1a", SPOT) == Decimal("0.40")


def test_the_dearest_zone_is_found_over_all_pages() -> None:
    with stubbed("ec2", in_virginia) as (prices, stubber):
        stubber.add_response(
            "describe_spot_price_history", {"SpotPriceHistory": [told("us-east-1a", "0.40")], "NextToken": "more"}
        )
        stubber.add_response(
            "describe_spot_price_history",
            {"SpotPriceHistory": [told("us-east-1b", "0.55"), told("us-east-1c", "0.45")]},
        )

        assert prices.highest_usd_per_hour("g5.xlarge", SPOT) == Decimal("0.55")


def test_a_zone_without_a_spot_price_is_not_known() -> None:
    with stubbed("ec2", in_virginia) as (prices, stubber):
        for _ in range(2):
            stubber.add_response("describe_spot_price_history", {"SpotPriceHistory": []})

        assert prices.usd_per_hour("g5.xlarge", "us-east-1a", SPOT) is None
        assert prices.highest_usd_per_hour("g5.xlarge", SPOT) is None


def test_a_refused_question_is_not_an_unknown_price() -> None:
    with stubbed("ec2", in_virginia) as (prices, stubber), pytest.raises(PermissionDenied):
        stubber.add_client_error("describe_spot_price_history", service_error_code="UnauthorizedOperation")
        prices.usd_per_hour("g5.xlarge", "us-east-1a", SPOT)


def test_an_on_demand_price_is_looked_up_without_asking_aws() -> None:
    with stubbed("ec2", in_virginia) as (prices, _):
        assert prices.usd_per_hour("g5.xlarge", "us-east-1a", ON_DEMAND) == Decimal("1.006")
        assert prices.highest_usd_per_hour("m5.large", ON_DEMAND) == Decimal("0.096")
        assert prices.usd_per_hour("x99.unheard-of", "us-east-1a", ON_DEMAND) is None


def test_an_on_demand_price_of_an_unknown_region_is_not_guessed() -> None:
    with stubbed("ec2", in_frankfurt) as (prices, _):
        assert prices.usd_per_hour("g5.xlarge", "eu-central-1a", ON_DEMAND) is None


def test_the_bundled_table_is_small_and_says_where_it_is_from() -> None:
    table = json.loads(Path(prices_module.__file__).with_name("on_demand_prices.json").read_text())

    types = table["regions"]["us-east-1"]
    assert table["source"]
    assert table["as_of"]
    assert len(types) <= 40
    assert all(Decimal(price) > 0 for price in types.values())
