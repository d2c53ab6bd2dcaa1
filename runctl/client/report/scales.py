"""Scales of the charts: round marks, and how values on them are written. Pure."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

_LOG_FROM: Final = 100.0
"""Largest over smallest value from which a curve is drawn on a logarithmic scale: on a linear one its end would lie on
the axis."""

_TIME_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200)
_DAY_S: Final = 86_400
_PREFIXES: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class Measure(Enum):
    """What the values of an axis are."""

    NUMBER = "number"
    SECONDS = "seconds"


@dataclass(frozen=True)
class Scale:
    """From values to a share of the axis' length."""

    low: float
    high: float
    marks: tuple[float, ...]
    is_log: bool = False
    measure: Measure = Measure.NUMBER

    def share(self, value: float) -> float:
        """Where the value lies: 0 at the axis' beginning, 1 at its end, never beyond."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, self.low))
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def text(self, value: float) -> str:
        """Write a mark."""
        return seconds_text(value) if self.measure is Measure.SECONDS else short_text(value)


def scale(low: float, high: float, *, wanted: int = 4, may_be_log: bool = False, is_padded: bool = True) -> Scale:
    """Make a scale of about `wanted` round marks around the values."""
    if may_be_log and low > 0 and high / low >= _LOG_FROM:
        bottom, top = math.floor(math.log10(low)), math.ceil(math.log10(high))
        every = max(1, -(-(top - bottom) // wanted))
        return Scale(10.0**bottom, 10.0**top, tuple(10.0**power for power in range(bottom, top + 1, every)), True)
    if high <= low:
        pad = abs(low) / 10 or 1.0
        low, high = low - pad, high + pad
    step = _round_step((high - low) / wanted)
    first, last = math.floor(low / step), math.ceil(high / step)
    if is_padded:
        return Scale(first * step, last * step, tuple(number * step for number in range(first, last + 1)))
    return Scale(low, high, tuple(n * step for n in range(first, last + 1) if low <= n * step <= high))


def time_scale(seconds: float, *, wanted: int = 4) -> Scale:
    """Make a scale of times since a beginning."""
    high = max(seconds, 1.0)
    step = next((step for step in _TIME_STEPS_S if high / step <= wanted + 1), 0)
    step = step or _DAY_S * max(1, math.ceil(high / _DAY_S / wanted))
    marks = tuple(float(number * step) for number in range(int(high // step) + 1))
    return Scale(0.0, high, marks, measure=Measure.SECONDS)


def short_text(value: float) -> str:
    """Write a number in at most four digits: `0.0012`, `12.5`, `1.2k`, `3.4e-07`."""
    size = abs(value)
    for unit, prefix in _PREFIXES:
        if 1e15 > size >= unit:
            return f"{value / unit:.4g}{prefix}"
    if size and (size < 1e-4 or size >= 1e15):
        return f"{value:.3g}"
    return f"{value:.4f}".rstrip("0").rstrip(".") if size < 1 else f"{value:.4g}"


def seconds_text(seconds: float) -> str:
    """Write a time since a beginning: `0`, `45 s`, `5 min`, `2 h`, `1 h 30`, `3 d`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole else "0"
    if whole < 3_600:
        return f"{whole // 60} min" + (f" {whole % 60}" if whole % 60 else "")
    if whole < _DAY_S:
        minutes = whole % 3_600 // 60
        return f"{whole // 3_600} h" + (f" {minutes:02d}" if minutes else "")
    hours = whole % _DAY_S // 3_600
    return f"{whole // _DAY_S} d" + (f" {hours} h" if hours else "")


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * digit for digit in (1.0, 2.0, 5.0, 10.0) if rough <= power * digit * 1.0001)
