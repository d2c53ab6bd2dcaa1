"""Instance types, prices, zones and images of the local cloud, from `runctl/local/data`."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from importlib.resources import files
from typing import Any, cast

SPOT = "spot"
ON_DEMAND = "on-demand"

_PRICE_STEP = timedelta(hours=6)
"""How often a spot price moves here. On AWS a few times a day, smoothly (EC2 User Guide, Spot price history)."""

_PRICE_SWING = Decimal("0.10")
"""Largest distance from the level in the data, as a share of it."""

HISTORY_LIMIT = timedelta(days=90)
"""EC2 keeps 90 days of spot price history (EC2 API Reference, DescribeSpotPriceHistory)."""


@dataclass(frozen=True)
class Gpu:
    """The GPUs of an instance type."""

    name: str
    manufacturer: str
    count: int
    memory_mib: int


@dataclass(frozen=True)
class Neuron:
    """The AWS accelerators of an instance type: Inferentia, Trainium."""

    name: str
    count: int
    cores: int
    memory_mib: int


@dataclass(frozen=True)
class InstanceType:
    """What EC2 says about an instance type."""

    name: str
    vcpus: int
    memory_mib: int
    architecture: str
    network_performance: str
    burstable: bool = False
    gpu: Gpu | None = None
    neuron: Neuron | None = None


@dataclass(frozen=True)
class Image:
    """An AMI and the public parameters that name it."""

    image_id: str
    name: str
    architecture: str
    root_device_name: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class PricePoint:
    """A spot price from a moment on."""

    instance_type: str
    zone: str
    since: datetime
    usd_per_hour: Decimal


def _load(name: str) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads((files("runctl.local.data") / name).read_text("utf-8")))


class Catalogue:
    """Facts about what can be launched in `region`; its prices are those of us-east-1 wherever it says it is."""

    def __init__(self, region: str) -> None:
        self.region = region

    @cached_property
    def types(self) -> dict[str, InstanceType]:
        """Instance types by name."""
        types: dict[str, InstanceType] = {}
        for row in _load("instance_types.json")["types"]:
            gpu = Gpu(**row["gpu"]) if "gpu" in row else None
            neuron = Neuron(**row["neuron"]) if "neuron" in row else None
            types[row["instance_type"]] = InstanceType(
                row["instance_type"],
                row["vcpus"],
                row["memory_mib"],
                row["architecture"],
                row["network_performance"],
                row.get("burstable", False),
                gpu,
                neuron,
            )
        return types

    @cached_property
    def _prices(self) -> dict[str, tuple[Decimal, dict[str, Decimal]]]:
        return {
            row["instance_type"]: (
                Decimal(row["on_demand"]),
                {f"{self.region}{letter}": Decimal(price) for letter, price in row["spot_by_zone"].items()},
            )
            for row in _load("prices.json")["types"]
        }

    @cached_property
    def images(self) -> dict[str, Image]:
        """Images by id."""
        rows = _load("images.json")["images"]
        return {
            row["image_id"]: Image(
                row["image_id"], row["name"], row["architecture"], row["root_device_name"], tuple(row["parameters"])
            )
            for row in rows
        }

    @cached_property
    def public_parameters(self) -> dict[str, str]:
        """AWS's public parameters under `/aws/service/` that are known here: name → image id."""
        return {name: image.image_id for image in self.images.values() for name in image.parameters}

    @cached_property
    def zones(self) -> tuple[str, ...]:
        """Zones in which anything is offered."""
        return tuple(sorted({zone for _, spot in self._prices.values() for zone in spot}))

    def is_offered(self, instance_type: str, zone: str) -> bool:
        """Tell whether `instance_type` exists in `zone`."""
        return zone in self._prices[instance_type][1]

    def offered_zones(self, instance_type: str) -> tuple[str, ...]:
        """Zones that have `instance_type`."""
        return tuple(sorted(self._prices[instance_type][1]))

    def on_demand_usd_per_hour(self, instance_type: str) -> Decimal:
        """On-demand price."""
        return self._prices[instance_type][0]

    def spot_usd_per_hour(self, instance_type: str, zone: str, at: datetime) -> Decimal:
        """Spot price at a moment: the level in the data, moved by a share that only type, zone and time decide."""
        level = self._prices[instance_type][1][zone]
        step = int(at.timestamp() // _PRICE_STEP.total_seconds())
        digest = hashlib.sha256(f"{instance_type} {zone} {step}".encode()).digest()
        share = Decimal(int.from_bytes(digest[:4], "big")) / Decimal(2**32 - 1) * 2 - 1
        price = (level * (1 + share * _PRICE_SWING)).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        return min(price, self._prices[instance_type][0])

    def spot_history(self, instance_type: str, zone: str, start: datetime, end: datetime) -> Iterator[PricePoint]:
        """Prices in force between `start` and `end`, newest first, the one in force at `start` included."""
        step_s = _PRICE_STEP.total_seconds()
        first = int(max(start, end - HISTORY_LIMIT).timestamp() // step_s)
        for step in range(int(end.timestamp() // step_s), first - 1, -1):
            since = datetime.fromtimestamp(step * step_s, UTC)
            yield PricePoint(instance_type, zone, since, self.spot_usd_per_hour(instance_type, zone, since))
