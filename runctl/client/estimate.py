"""What a run may cost, told before anything is launched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from runctl.client.deployment import Prices
from runctl.model.price import Price, PriceSource
from runctl.model.run import DEFAULT_DISK_GIB, PurchaseOption
from runctl.policy.budget_limits import least_max_cost
from runctl.policy.meter import beside_usd_per_hour

_SECONDS_PER_HOUR: Final = Decimal(3_600)
_HOUR_FRACTION: Final = Decimal("0.000001")
_CENT_OF_A_CENT: Final = Decimal("0.0001")


@dataclass(frozen=True)
class PricedPool:
    """A capacity pool and what an hour of its machine costs; None when nobody says."""

    instance_type: str
    availability_zone: str | None
    """None on demand: the price is the same in every zone."""
    purchase_option: PurchaseOption
    price: Price | None
    on_demand: Price | None


@dataclass(frozen=True)
class PoolEstimate:
    """A pool with the run's whole time on it, disk and public address included."""

    pool: PricedPool
    usd_per_hour: Decimal | None
    total_usd: Decimal | None
    saved_usd: Decimal | None
    """Against the same type on demand; None when either price is not known."""


@dataclass(frozen=True)
class Estimate:
    """The most that a run costs if it uses its whole time on the dearest of its pools, at the prices of now."""

    pools: tuple[PricedPool, ...]
    """In the order of preference: types as they were named, each type's zones from the cheapest on."""
    purchase_option: PurchaseOption
    runtime: timedelta
    limit_usd: Decimal | None
    """`max_cost`: the run is stopped there."""
    disk_gib: int = DEFAULT_DISK_GIB

    @property
    def usd_per_hour(self) -> Decimal | None:
        """Price of an hour in the dearest pool, with disk and public address; None when one type's price is not
        known."""
        if not self.pools or any(pool.price is None for pool in self.pools):
            return None
        return self._hourly(max(pool.price.usd_per_hour for pool in self.pools if pool.price is not None))

    @property
    def total_usd(self) -> Decimal | None:
        """The estimate; the limit when that is lower, None when neither is known."""
        hourly = self.usd_per_hour
        if hourly is None:
            return self.limit_usd
        total = self._total(hourly)
        return total if self.limit_usd is None else min(total, self.limit_usd)

    @property
    def least_limit_usd(self) -> Decimal | None:
        """The limit that is needed so that saving at it is paid by it; None when it has one that is enough, or none, or
        no price is known."""
        hourly = self.usd_per_hour
        if hourly is None or self.limit_usd is None:
            return None
        least = least_max_cost(hourly)
        return least if self.limit_usd < least else None

    @property
    def rests_on_bundled(self) -> bool:
        """Whether a price in it is the bundled table's, which may be out of date."""
        told = [price for pool in self.pools for price in (pool.price, pool.on_demand)]
        return any(price is not None and price.source is PriceSource.BUNDLED for price in told)

    @property
    def table(self) -> tuple[PoolEstimate, ...]:
        """Each pool with its total and what it saves."""
        return tuple(self._estimated(pool) for pool in self.pools)

    def _estimated(self, pool: PricedPool) -> PoolEstimate:
        if pool.price is None:
            return PoolEstimate(pool, None, None, None)
        hourly = self._hourly(pool.price.usd_per_hour)
        total = self._total(hourly)
        saved = None if pool.on_demand is None else self._total(self._hourly(pool.on_demand.usd_per_hour)) - total
        return PoolEstimate(pool, hourly, total, saved)

    def _hourly(self, machine_usd: Decimal) -> Decimal:
        return (machine_usd + beside_usd_per_hour(self.disk_gib)).quantize(_HOUR_FRACTION, ROUND_HALF_UP)

    def _total(self, hourly: Decimal) -> Decimal:
        hours = Decimal(int(self.runtime.total_seconds())) / _SECONDS_PER_HOUR
        return (hourly * hours).quantize(_CENT_OF_A_CENT, ROUND_HALF_UP)


def estimate(
    prices: Prices,
    *,
    instance_types: Sequence[str],
    option: PurchaseOption,
    runtime: timedelta,
    limit_usd: Decimal | None,
    disk_gib: int | None = None,
) -> Estimate:
    """Ask what each pool costs now."""
    pools = tuple(pool for name in instance_types for pool in _pools(prices, name, option))
    return Estimate(pools, option, runtime, limit_usd, disk_gib or DEFAULT_DISK_GIB)


def _pools(prices: Prices, instance_type: str, option: PurchaseOption) -> tuple[PricedPool, ...]:
    on_demand = prices.on_demand(instance_type)
    if option is PurchaseOption.ON_DEMAND:
        return (PricedPool(instance_type, None, option, on_demand, on_demand),)
    by_zone = sorted(prices.spot_by_zone(instance_type).items(), key=lambda told: (told[1].usd_per_hour, told[0]))
    found = tuple(PricedPool(instance_type, zone, option, price, on_demand) for zone, price in by_zone)
    return found or (PricedPool(instance_type, None, option, None, on_demand),)


def estimate_document(estimated: Estimate) -> dict[str, Any]:
    """Write an estimate as JSON output shows it; money as numbers of US dollars."""
    return {
        "purchase_option": estimated.purchase_option.value,
        "runtime_s": int(estimated.runtime.total_seconds()),
        "disk_gib": estimated.disk_gib,
        "max_cost_usd": _number(estimated.limit_usd),
        "usd_per_hour": _number(estimated.usd_per_hour),
        "total_usd": _number(estimated.total_usd),
        "rests_on_bundled_prices": estimated.rests_on_bundled,
        "pools": [_pool_document(row) for row in estimated.table],
    }


def _pool_document(row: PoolEstimate) -> dict[str, Any]:
    price = row.pool.price
    return {
        "instance_type": row.pool.instance_type,
        "availability_zone": row.pool.availability_zone,
        "purchase_option": row.pool.purchase_option.value,
        "price_usd_per_hour": None if price is None else _number(price.usd_per_hour),
        "price_source": None if price is None else price.source.value,
        "price_as_of": None if price is None else price.as_of,
        "usd_per_hour": _number(row.usd_per_hour),
        "total_usd": _number(row.total_usd),
        "saved_usd": _number(row.saved_usd),
    }


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
