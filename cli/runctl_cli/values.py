"""Values as people type them: durations, money, KEY=VALUE. Used by the command line and by the configuration."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Generic, TypeVar

Amount = TypeVar("Amount")


@dataclass(frozen=True)
class More(Generic[Amount]):
    """An amount that is added, or the whole."""

    amount: Amount
    is_added: bool

    @property
    def added(self) -> Amount | None:
        """What is added; None for the whole."""
        return self.amount if self.is_added else None

    @property
    def whole(self) -> Amount | None:
        """The whole; None for what is added."""
        return None if self.is_added else self.amount


_UNITS_S = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([dhms])")
_LONGEST_S = 100 * 365 * 86_400
_LARGEST_USD = Decimal(10) ** 9
_OTHER_CURRENCY = re.compile(r"\s*(?:(?!USD)[A-Z]{3}\s*[0-9.,]+|[0-9.,]+\s*(?!USD)[A-Z]{3})\s*")
_PERCENT = re.compile(r"[0-9]{1,3}")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_duration(text: str) -> timedelta:
    """Read `2h`, `90m`, `1h30m`, `45s`, `1d`. Raises ValueError with a sentence."""
    compact = text.strip().lower()
    parts = _PART.findall(compact)
    if not parts or _PART.sub("", compact).strip():
        raise ValueError(f"{text!r} is not a duration; write for example 90m, 2h, 1h30m or 1d")
    seconds = sum(float(amount) * _UNITS_S[unit] for amount, unit in parts)
    if seconds > _LONGEST_S:
        raise ValueError(f"{text!r} is longer than a hundred years; write for example 90m, 2h, 1h30m or 1d")
    return timedelta(seconds=seconds)


def parse_usd(text: str) -> Decimal:
    """Read `5`, `0.50` or `$5`: US dollars. Raises ValueError with a sentence."""
    if any(unicodedata.category(sign) == "Sc" and sign != "$" for sign in text) or _OTHER_CURRENCY.fullmatch(text):
        raise ValueError(f"{text!r} is in another currency, not an amount in US dollars; write for example 5 or 0.50")
    try:
        amount = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _LARGEST_USD:
        raise ValueError(f"{text!r} is not an amount in US dollars; write for example 5 or 0.50")
    return amount


def parse_more_duration(text: str) -> More[timedelta]:
    """Read `+2h`, or `2h` for a whole. Raises ValueError with a sentence."""
    plus, amount = _more(text)
    duration = parse_duration(amount)
    if duration < timedelta(seconds=1):
        raise ValueError(f"{text!r} is no time at all; write for example +2h, or 26h in all")
    return More(duration, plus)


def parse_more_usd(text: str) -> More[Decimal]:
    """Read `+40`, or `60` for a whole. Raises ValueError with a sentence."""
    plus, amount = _more(text)
    usd = parse_usd(amount)
    if usd == 0:
        raise ValueError(f"{text!r} is no money at all; write for example +40, or 60 in all")
    return More(usd, plus)


def _more(text: str) -> tuple[bool, str]:
    stripped = text.strip()
    if stripped.startswith("++"):
        raise ValueError(f"{text!r} is not an amount; one + says that it is added")
    return stripped.startswith("+"), stripped.removeprefix("+")


def parse_exit_codes(text: str) -> tuple[int, ...]:
    """Read `3` or `3,17`: exit codes from 1 to 255. Raises ValueError with a sentence."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and 1 <= int(word) <= 255 for word in words):
        raise ValueError(f"{text!r} are not exit codes; write numbers from 1 to 255, for example 3 or 3,17")
    return tuple(int(word) for word in words)


def parse_percentages(text: str) -> tuple[int, ...]:
    """Read `50,80,100`. Raises ValueError with a sentence."""
    parts = [part.strip() for part in text.split(",")]
    if not all(_PERCENT.fullmatch(part) and 1 <= int(part) <= 100 for part in parts):
        raise ValueError(f"{text!r} is not a list of percentages from 1 to 100; write for example 50,80,100")
    return tuple(sorted({int(part) for part in parts}))


def parse_variable(text: str) -> tuple[str, str]:
    """Read `KEY=VALUE`. Raises ValueError with a sentence, which does not show the value."""
    name, equals, value = text.partition("=")
    if not equals or not _VARIABLE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not an environment variable; write KEY=VALUE")
    if name.startswith(("RUNCTL_", "AWS_")):
        raise ValueError(f"{name} is set by the machine itself; choose another name")
    return name, value


def parse_data(text: str) -> dict[str, str]:
    """Read `s3://bucket/prefix` or `s3://bucket/prefix:path`. Raises ValueError with a sentence."""
    scheme, _, rest = text.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"{text!r} is no place in S3; write s3://BUCKET/PREFIX or s3://BUCKET/PREFIX:PATH")
    if ":" in bucket:
        bucket, _, path = rest.partition(":")
        return {"bucket": bucket, "prefix": "", "path": path}
    prefix, _, path = key.partition(":")
    return {"bucket": bucket, "prefix": prefix, "path": path}


def duration_text(duration: timedelta) -> str:
    """Write a duration as short as it can be read: `12 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`."""
    seconds = max(0, round(duration.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return _two(seconds // 60, "min", seconds % 60, "s")
    if seconds < 86_400:
        return _two(seconds // 3_600, "h", seconds % 3_600 // 60, "min")
    return _two(seconds // 86_400, "d", seconds % 86_400 // 3_600, "h")


def duration_setting(duration: timedelta) -> str:
    """Write a duration as a setting takes it, in the largest unit that leaves nothing over: `24h`, `90m`, `45s`."""
    seconds = duration.total_seconds()
    for unit, length in (("h", 3_600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length:.0f}{unit}"
    return f"{seconds:g}s"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit}" + (f" {small} {small_unit}" if small else "")


def usd_text(amount: Decimal) -> str:
    """Write money with as many places as it needs to not read as nothing: `$12.34`, `$0.0042`."""
    if amount == 0:
        return "$0"
    if abs(amount) >= 1:
        return f"${amount:,.2f}"
    if abs(amount) < Decimal("0.000001"):
        return "under $0.000001"
    return f"${amount:.{max(2, 1 - amount.adjusted())}f}"


def bytes_text(count: int) -> str:
    """Write a size: `312 B`, `4.1 kB`, `12 MB`."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1_000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1_000
    return f"{size:.0f} GB"


def parse_ports(text: str) -> tuple[int, int]:
    """Read `PORT` or `LOCAL:PORT`, as ssh's -L does: the port here, and that of the machine. Raises ValueError."""
    here, _, there = text.rpartition(":")
    try:
        ports = int(here or there), int(there)
    except ValueError:
        ports = (0, 0)
    if not all(1 <= port <= 65_535 for port in ports):
        raise ValueError(f"{text!r} is not a port, or two with a colon, e.g. 6006 or 16006:6006")
    return ports


def utc_text(moment: datetime) -> str:
    """Write a moment in UTC, to the second; that it is UTC is said beside it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
