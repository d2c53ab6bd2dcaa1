"""Capacity that is missing on request: the no-capacity fault."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from runctl.local.machines.catalogue import ON_DEMAND, SPOT
from runctl.local.machines.wire.errors import AwsError

_POOL = re.compile(r"(?P<type>\*|[a-z0-9-]+\.[a-z0-9-]+)(/(?P<zone>\*|[a-z0-9-]+)(/(?P<option>\*|spot|on-demand))?)?")


@dataclass(frozen=True)
class PoolPattern:
    """Some capacity pools: `TYPE`, `TYPE/AZ`, `TYPE/AZ/spot|on-demand`; `*` stands for all in any place."""

    instance_type: str
    zone: str
    option: str

    @classmethod
    def parse(cls, text: str) -> "PoolPattern":
        """Read a pattern; raises `AwsError` for one that names no pool."""
        match = _POOL.fullmatch(text)
        if match is None:
            raise AwsError(
                "InvalidParameterValue", f"'{text}' is no pool: TYPE, TYPE/AZ, TYPE/AZ/{SPOT}|{ON_DEMAND} or *"
            )
        return cls(match["type"], match["zone"] or "*", match["option"] or "*")

    def covers(self, instance_type: str, zone: str, option: str) -> bool:
        """Whether a pool is one of these."""
        wanted = (instance_type, zone, option)
        return all(
            mine in ("*", its) for mine, its in zip((self.instance_type, self.zone, self.option), wanted, strict=True)
        )


class MissingCapacity:
    """Which pools are empty, and until when."""

    def __init__(self) -> None:
        self._empty: list[tuple[PoolPattern, datetime | None]] = []

    def empty(self, patterns: list[PoolPattern], at: datetime, for_s: float | None) -> None:
        """Empty pools for `for_s` seconds, or until `restore` when it is None; 0 fills those that match exactly."""
        self._empty = [entry for entry in self._empty if entry[0] not in patterns]
        if for_s is None:
            self._empty += [(pattern, None) for pattern in patterns]
        elif for_s > 0:
            self._empty += [(pattern, at + timedelta(seconds=for_s)) for pattern in patterns]

    def is_missing(self, instance_type: str, zone: str, option: str, at: datetime) -> bool:
        """Whether the pool is empty now."""
        self._empty = [(pattern, until) for pattern, until in self._empty if until is None or until > at]
        return any(pattern.covers(instance_type, zone, option) for pattern, _ in self._empty)
