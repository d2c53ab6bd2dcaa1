"""More time or money for a live run."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from runctl.model.base import WireModel


class Extension(WireModel):
    """The limits that a run shall have. What is None stays as it is.

    A limit that was given as an addition names what it was added to: asked for twice it is added once, and an addition
    to what somebody else has changed meanwhile is refused.
    """

    max_runtime_s: Annotated[int, Field(gt=0)] | None = None
    added_to_runtime_s: int | None = None
    max_cost_usd: Annotated[Decimal, Field(gt=0, allow_inf_nan=False)] | None = None
    added_to_cost_usd: Decimal | None = None
