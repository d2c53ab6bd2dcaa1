"""What a run may cost, told before anything is launched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from runctl.client.deployment import Prices
from runctl.model.run import DEFAULT_DISK_GIB, PurchaseOption
from runctl.policy.cost import DISK_USD_PER_GIB_HOUR, PUBLIC_ADDRESS_USD_PER_HOUR

_SECONDS_PER_HOUR: Final = Decimal(3_600)
_HOUR_FRACTION: Final = Decimal("0.000001")
_CENT_OF_A_CENT: Final = Decimal("0.0001")


@dataclass(frozen=True)
class PricedType:
    """An instance type and what an hour of it costs at most, in any Availability Zone; None when nobody says."""

    instance_type: str
    usd_per_hour: Decimal | None


@dataclass(frozen=True)
class Estimate:
    """The most that a run costs if it uses its whole time on the dearest of its types."""

    types: tuple[PricedType, ...]
    purchase_option: PurchaseOption
    runtime: timedelta
    limit_usd: Decimal | None
    """`max_cost`: the run is stopped there."""
    disk_gib: int = DEFAULT_DISK_GIB

    @property
    def usd_per_hour(self) -> Decimal | None:
        """Price of an hour of the dearest type, its disk and its public address; None when one type's price is not
        known."""
        known = [priced.usd_per_hour for priced in self.types if priced.usd_per_hour is not None]
        if len(known) < len(self.types):
            return None
        beside = PUBLIC_ADDRESS_USD_PER_HOUR + self.disk_gib * DISK_USD_PER_GIB_HOUR
        return (max(known) + beside).quantize(_HOUR_FRACTION, ROUND_HALF_UP)

    @property
    def total_usd(self) -> Decimal | None:
        """The estimate; the limit when that is lower, None when neither is known."""
        hourly = self.usd_per_hour
        if hourly is None:
            return self.limit_usd
        total = (hourly * Decimal(int(self.runtime.total_seconds())) / _SECONDS_PER_HOUR).quantize(
            _CENT_OF_A_CENT, ROUND_HALF_UP
        )
        return total if self.limit_usd is None else min(total, self.limit_usd)


def estimate(
    prices: Prices,
    *,
    instance_types: Sequence[str],
    option: PurchaseOption,
    runtime: timedelta,
    limit_usd: Decimal | None,
    disk_gib: int | None = None,
) -> Estimate:
    """Ask what each type costs now."""
    priced = tuple(PricedType(name, prices.highest_usd_per_hour(name, option)) for name in instance_types)
    return Estimate(priced, option, runtime, limit_usd, disk_gib or DEFAULT_DISK_GIB)
