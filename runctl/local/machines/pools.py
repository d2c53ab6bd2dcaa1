"""What EC2 says of a capacity pool before it launches there: offered or not, empty or not, and at which price."""

from decimal import Decimal, InvalidOperation

from runctl.local.machines.capacity import MissingCapacity
from runctl.local.machines.catalogue import ON_DEMAND, SPOT, Catalogue
from runctl.local.machines.clock import now
from runctl.local.machines.launch import Pool
from runctl.local.machines.wire.errors import AwsError


class Pools:
    """Prices pools and refuses those that give nothing."""

    def __init__(self, catalogue: Catalogue, missing_capacity: MissingCapacity) -> None:
        self._catalogue = catalogue
        self._missing_capacity = missing_capacity

    def knows(self, instance_type: str) -> bool:
        """Whether there is such an instance type."""
        return instance_type in self._catalogue.types

    def price(self, pool: Pool) -> Decimal:
        """USD an hour; infinite where the type is not offered."""
        if not self._catalogue.is_offered(pool.instance_type, pool.zone):
            return Decimal("Infinity")
        if pool.option == ON_DEMAND:
            return self._catalogue.on_demand_usd_per_hour(pool.instance_type)
        return self._catalogue.spot_usd_per_hour(pool.instance_type, pool.zone, now())

    def check(self, pool: Pool, max_price: Decimal | None) -> None:
        """Raise the error with which EC2 refuses a launch in this pool, if it does."""
        name, zone = pool.instance_type, pool.zone
        if not self._catalogue.is_offered(name, zone):
            raise AwsError(
                "Unsupported",
                f"Your requested instance type ({name}) is not supported in your requested Availability Zone ({zone}). "
                "Please retry your request by not specifying an Availability Zone or choosing "
                f"{', '.join(self._catalogue.offered_zones(name))}.",
            )
        if self._missing_capacity.is_missing(name, zone, pool.option, now()):
            if pool.option == SPOT:
                raise AwsError(
                    "UnfulfillableCapacity",
                    "Unable to fulfill capacity due to your request configuration. "
                    "Please adjust your request and try again.",
                )
            raise AwsError(
                "InsufficientInstanceCapacity",
                f"We currently do not have sufficient {name} capacity in the Availability Zone you requested ({zone}). "
                "Our system will be working on provisioning additional capacity.",
            )
        if pool.option == SPOT and max_price is not None and max_price < (price := self.price(pool)):
            raise AwsError(
                "SpotMaxPriceTooLow",
                f"Your Spot request price of {max_price} is lower than the minimum required Spot request fulfillment "
                f"price of {price}.",
            )


def read_price(text: str | None) -> Decimal | None:
    """A price of a request, in USD an hour."""
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise AwsError("InvalidParameterValue", f"Value ({text}) for parameter MaxPrice is invalid.") from None
