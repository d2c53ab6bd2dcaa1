"""Prices of machines whose cost is not final: asked when somebody looks, kept nowhere."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from runctl.client.deployment import Prices
from runctl.errors import PermissionDenied
from runctl.model.attempt import Attempt
from runctl.model.price import PriceStep
from runctl.model.run import PurchaseOption
from runctl.policy.meter import steps_between


def with_live_prices(attempts: Sequence[Attempt], prices: Prices, now: datetime) -> tuple[Attempt, ...]:
    """Give unsettled spot machines the prices in force since their launch, with one question to EC2 for all of them.

    Who may not ask EC2 sees the cost at the launch's price: a reader of runs need not be allowed to.
    """
    live = [each for each in attempts if each.is_unsettled and each.purchase_option is PurchaseOption.SPOT]
    since = min((each.launched_at for each in live if each.launched_at is not None), default=now)
    types = {each.instance_type for each in live if each.instance_type is not None}
    moved: Mapping[tuple[str, str], tuple[PriceStep, ...]] = {}
    with suppress(PermissionDenied):
        moved = prices.spot_steps(types, since) if types else moved
    return tuple(
        _priced(each, moved.get((each.instance_type or "", each.availability_zone or ""), ()), now)
        if each in live
        else each
        for each in attempts
    )


def _priced(attempt: Attempt, steps: Sequence[PriceStep], now: datetime) -> Attempt:
    if not steps or attempt.launched_at is None:
        return attempt
    return attempt.model_copy(update={"price_steps": steps_between(steps, attempt.launched_at, now)})
