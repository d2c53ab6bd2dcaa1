"""Filters, missing capacity, prices: what needs no server."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from runctl.local.machines.capacity import MissingCapacity, PoolPattern
from runctl.local.machines.catalogue import Catalogue
from runctl.local.machines.ec2.filters import matching
from runctl.local.machines.machine import Machine
from runctl.local.machines.sandbox import Sandbox
from runctl.local.machines.wire.errors import AwsError

NOON = datetime(2026, 11, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["blue"], ["blue"]),
        (["b*"], ["blue", "b*d"]),
        (["?lue"], ["blue"]),
        ([r"b\*d"], ["b*d"]),
        (["red", "blue"], ["blue", "red"]),
        (["Blue"], []),
        ([], []),
        (["r.d"], []),
    ],
)
def test_filter_takes_alternatives_and_wildcards(values: list[str], found: list[str]) -> None:
    colours = ["blue", "red", "b*d"]

    assert matching(colours, [{"Name": "colour", "Values": values}], {"colour": lambda colour: [colour]}) == found


def test_all_filters_must_hold() -> None:
    filters = [{"Name": "tag:a", "Values": ["1"]}, {"Name": "tag-key", "Values": ["b"]}]
    items = [{"a": "1"}, {"a": "1", "b": "2"}, {"b": "2"}]

    assert matching(items, filters, {}, lambda item: item) == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("pattern", "pools"),
    [
        ("t3.micro", {("t3.micro", "a", "spot"), ("t3.micro", "b", "on-demand")}),
        ("t3.micro/b", {("t3.micro", "b", "on-demand")}),
        ("*/*/spot", {("t3.micro", "a", "spot"), ("g5.xlarge", "a", "spot")}),
        ("*", {("t3.micro", "a", "spot"), ("t3.micro", "b", "on-demand"), ("g5.xlarge", "a", "spot")}),
    ],
)
def test_pool_pattern_covers(pattern: str, pools: set[tuple[str, str, str]]) -> None:
    everything = {("t3.micro", "a", "spot"), ("t3.micro", "b", "on-demand"), ("g5.xlarge", "a", "spot")}

    assert {pool for pool in everything if PoolPattern.parse(pattern).covers(*pool)} == pools


@pytest.mark.parametrize("text", ["", "t3", "t3.micro/a/free", "t3.micro/a/spot/now", "../x"])
def test_text_that_names_no_pool_is_refused(text: str) -> None:
    with pytest.raises(AwsError):
        PoolPattern.parse(text)


def test_capacity_comes_back_when_its_time_is_over_or_when_it_is_given_back() -> None:
    missing = MissingCapacity()
    missing.empty([PoolPattern.parse("t3.micro")], NOON, 60)
    missing.empty([PoolPattern.parse("g5.xlarge")], NOON, None)

    minute = NOON + timedelta(seconds=60)
    assert missing.is_missing("t3.micro", "a", "spot", NOON + timedelta(seconds=59))
    assert not missing.is_missing("t3.micro", "a", "spot", minute)
    assert missing.is_missing("g5.xlarge", "a", "spot", NOON + timedelta(days=9))
    missing.empty([PoolPattern.parse("g5.xlarge")], minute, 0)
    assert not missing.is_missing("g5.xlarge", "a", "spot", minute)


def test_spot_price_moves_a_little_and_never_above_on_demand() -> None:
    catalogue = Catalogue("us-east-1")

    points = list(catalogue.spot_history("m5.large", "us-east-1a", NOON - timedelta(days=30), NOON))

    prices = {point.usd_per_hour for point in points}
    assert len(prices) > 10
    assert all(Decimal("0.0327") <= price <= Decimal("0.0401") for price in prices)
    assert catalogue.spot_usd_per_hour("m5.large", "us-east-1a", NOON) == points[0].usd_per_hour
    for name in catalogue.types:
        for zone in catalogue.offered_zones(name):
            assert catalogue.spot_usd_per_hour(name, zone, NOON) <= catalogue.on_demand_usd_per_hour(name)


def test_every_type_has_a_price_and_every_image_a_parameter() -> None:
    catalogue = Catalogue("eu-west-1")

    assert all(catalogue.offered_zones(name) for name in catalogue.types)
    assert all(zone.startswith("eu-west-1") for zone in catalogue.zones)
    assert set(catalogue.public_parameters.values()) == set(catalogue.images)


def test_machines_share_the_persons_package_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "elsewhere"))

    environment = Sandbox("i-1", tmp_path / "machine").environment(
        endpoint_url="http://127.0.0.1:1", region="us-east-1"
    )

    assert environment["HOME"] == str(tmp_path / "machine" / "home")
    assert environment["UV_CACHE_DIR"] == str(tmp_path / "person" / ".cache" / "uv")
    assert environment["PIP_CACHE_DIR"] == str(tmp_path / "elsewhere")


def test_record_of_a_machine_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    names = ("reservation_id", "client_token", "instance_type", "architecture", "image_id", "zone", "zone_id")
    fields = dict.fromkeys((*names, "subnet_id", "vpc_id", "private_ip", "lifecycle"), "x")
    Machine("i-1", security_groups=[], launched_at=NOON.isoformat(), public_ip="203.0.113.4", **fields).save(tmp_path)
    record = json.loads((tmp_path / "machine.json").read_text())
    del record["is_public"]
    (tmp_path / "machine.json").write_text(json.dumps(record))

    machine = Machine.load(tmp_path)

    assert (machine.instance_id, machine.is_public, machine.public_ip) == ("i-1", False, "203.0.113.4")
