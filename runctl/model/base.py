"""The base of all models: frozen, strict about unknown fields, times aware and in UTC."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict


class Model(BaseModel):
    """A frozen value. Unknown fields are refused, so that a misspelt name is an error and not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class WireModel(BaseModel):
    """A frozen value that comes from outside: unknown fields are ignored, for the sender may be newer."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


UtcDatetime = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An aware time, kept in UTC."""


def iso(moment: datetime) -> str:
    """Write a time as the table, the events and JSON output spell it: `2026-01-31T09:30:00.123Z`.

    Always milliseconds and always `Z`, so that strings sort as times do.
    """
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock_text(moment: datetime) -> str:
    """Write a time as sentences for people spell it: `2026-01-31 09:30:00 UTC`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
