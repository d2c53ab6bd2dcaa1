"""Instance types for a run that says what it needs rather than their names."""

from decimal import Decimal

from runctl.client.deployment import MachineTypes, Prices
from runctl.model.run import PurchaseOption
from runctl.policy.needs import Needs, cheapest, fitting


def choose_types(catalogue: MachineTypes, prices: Prices, needs: Needs, option: PurchaseOption) -> tuple[str, ...]:
    """Choose the cheapest types that fit, by the prices of now, the cheapest first. Raises InvalidSpec."""

    def price_of(instance_type: str) -> Decimal | None:
        if option is PurchaseOption.ON_DEMAND:
            price = prices.on_demand(instance_type)
            return None if price is None else price.usd_per_hour
        return min((price.usd_per_hour for price in prices.spot_by_zone(instance_type).values()), default=None)

    return cheapest(fitting(catalogue.offered_types(option), needs), price_of)
