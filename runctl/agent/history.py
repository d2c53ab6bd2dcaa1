"""The figures of a whole attempt in bounded memory: `runctl.model.history` says how they are written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

POINTS = 500
"""Points of a series at most: when there are more, two neighbours become one. A screen shows no more."""

SERIES = 64
"""Series of a kind at most; later ones are left out."""


@dataclass
class _Point:
    """The mean of some samples."""

    at_s: float
    step: int | None
    value: float
    samples: int


class Series:
    """One figure over time."""

    def __init__(self) -> None:
        self._points: list[_Point] = []
        self._samples_a_point = 1
        self.count = 0
        self.last = self.least = self.most = 0.0

    def add(self, at_s: float, step: int | None, value: float) -> None:
        """Add a sample; `at_s` is in seconds since the attempt's first."""
        self.least = min(self.least, value) if self.count else value
        self.most = max(self.most, value) if self.count else value
        self.last = value
        self.count += 1
        newest = self._points[-1] if self._points else None
        if newest is not None and newest.samples < self._samples_a_point:
            self._points[-1] = _joined(newest, _Point(at_s, step, value, 1))
            return
        if len(self._points) == POINTS:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [_joined(first, second) for first, second in pairs]
            self._samples_a_point *= 2
        self._points.append(_Point(at_s, step, value, 1))

    def document(self) -> dict[str, Any]:
        """Write it."""
        points = [[round(point.at_s, 1), point.step, _short(point.value)] for point in self._points]
        return {
            "count": self.count,
            "last": _short(self.last),
            "min": _short(self.least),
            "max": _short(self.most),
            "points": points,
        }


class History:
    """All series of an attempt, by kind: what the training says, and how busy the machine is."""

    def __init__(self) -> None:
        self._began_at: str = ""
        self._began_at_s = 0.0
        self._last_s = 0.0
        self._kinds: dict[str, dict[str, Series]] = {"training": {}, "machine": {}}

    def add(self, kind: str, at: str, at_s: float, figures: Mapping[str, float], step: int | None = None) -> None:
        """Add what was seen at a moment, which is given as people and as clocks write it."""
        if not self._began_at:
            self._began_at, self._began_at_s = at, at_s
        self._last_s = max(self._last_s, at_s - self._began_at_s)
        known = self._kinds[kind]
        for name, value in figures.items():
            if name in known or len(known) < SERIES:
                known.setdefault(name, Series()).add(self._last_s, step, value)

    def document(self, run_id: str, attempt: int) -> dict[str, Any] | None:
        """Write it; None when nothing was seen."""
        if not self._began_at:
            return None
        kinds = {
            kind: {name: one.document() for name, one in sorted(series.items())} for kind, series in self._kinds.items()
        }
        return {
            "version": 1,
            "run_id": run_id,
            "attempt": attempt,
            "began_at": self._began_at,
            "seconds": round(self._last_s, 1),
            **kinds,
        }


def _joined(first: _Point, second: _Point) -> _Point:
    samples = first.samples + second.samples
    value = (first.value * first.samples + second.value * second.samples) / samples
    return _Point(second.at_s, second.step, value, samples)


def _short(value: float) -> float:
    return float(f"{value:.6g}")
