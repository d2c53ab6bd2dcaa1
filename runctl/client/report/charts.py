"""Curves as SVG. Pure: values in, markup out; colours come from the page's style sheet."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from runctl.client.report.markup import Html, markup, tag
from runctl.client.report.scales import Scale, scale, short_text, time_scale

WIDTH: Final = 360.0
"""In units of the drawing: about the pixels of a narrow telephone, so that its text is readable there unscaled."""

HEIGHT: Final = 190.0
_LEFT: Final = 46.0
_RIGHT: Final = 10.0
_TOP: Final = 10.0
_BOTTOM: Final = 22.0

TONES: Final = 8
"""Colours in the style sheet; more curves than these are dashed and begin again."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """One curve. Between its segments (machines, mostly) the line is broken."""

    label: str
    segments: tuple[tuple[Point, ...], ...]
    tone: int = 0

    @property
    def points(self) -> tuple[Point, ...]:
        """All points that can be drawn."""
        return tuple(point for segment in _drawable(self.segments) for point in segment)


@dataclass(frozen=True)
class Mark:
    """A moment on the horizontal axis at which something happened."""

    x: float
    text: str


def chart(
    title: str,
    curves: Sequence[Curve],
    *,
    over_time: bool,
    marks: Iterable[Mark] = (),
    percent: bool = False,
    may_be_log: bool = False,
) -> Html | None:
    """Draw curves with axes and a legend; None when there is nothing to draw.

    `over_time`: the horizontal axis is seconds since a beginning, else steps. `percent`: the vertical one is 0 to 100.
    """
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        return None
    xs = [x for curve in drawn for x, _ in curve.points]
    ys = [y for curve in drawn for _, y in curve.points]
    across = time_scale(max(xs)) if over_time else scale(min(xs), max(xs), is_padded=False)
    up = Scale(0, 100, (0, 25, 50, 75, 100)) if percent else scale(min(ys), max(ys), may_be_log=may_be_log)
    unit = " (logarithmic)" if up.is_log else ""
    svg = tag(
        "svg",
        _grid(across, up),
        [_mark(mark, across) for mark in marks if across.low < mark.x <= across.high],
        [_line(curve, across, up) for curve in drawn],
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        role="img",
        aria_label=f"{title}, over {'time' if over_time else 'steps'}",
    )
    return tag(
        "figure",
        tag("figcaption", tag("b", title), f"{unit}, over {'time' if over_time else 'steps'}"),
        svg,
        _legend(drawn, percent=percent),
        class_="chart",
    )


def _drawable(segments: Iterable[Sequence[Point]]) -> list[list[Point]]:
    """Break the line where a value is not a number: a loss that has run away is not drawn anywhere."""
    broken: list[list[Point]] = []
    for segment in segments:
        current: list[Point] = []
        for point in segment:
            if math.isfinite(point[0]) and math.isfinite(point[1]):
                current.append(point)
            elif current:
                broken.append(current)
                current = []
        if current:
            broken.append(current)
    return broken


def _x(across: Scale, value: float) -> float:
    return round(_LEFT + across.share(value) * (WIDTH - _LEFT - _RIGHT), 1)


def _y(up: Scale, value: float) -> float:
    return round(HEIGHT - _BOTTOM - up.share(value) * (HEIGHT - _TOP - _BOTTOM), 1)


def _grid(across: Scale, up: Scale) -> Html:
    lines: list[Html] = []
    for value in up.marks:
        y = _y(up, value)
        lines.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="grid"))
        lines.append(tag("text", up.text(value), x=_LEFT - 5, y=y + 3.5, class_="up"))
    for value in across.marks:
        x = _x(across, value)
        lines.append(tag("line", x1=x, x2=x, y1=HEIGHT - _BOTTOM, y2=HEIGHT - _BOTTOM + 4, class_="axis"))
        anchor = "end" if x > WIDTH - _RIGHT - 14 else "middle"
        lines.append(tag("text", across.text(value), x=x, y=HEIGHT - 6, text_anchor=anchor))
    base = HEIGHT - _BOTTOM
    lines.append(tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=base, y2=base, class_="axis"))
    return markup(lines)


def _mark(mark: Mark, across: Scale) -> Html:
    x = _x(across, mark.x)
    return tag("g", tag("title", mark.text), tag("line", x1=x, x2=x, y1=_TOP, y2=HEIGHT - _BOTTOM, class_="mark"))


def _line(curve: Curve, across: Scale, up: Scale) -> Html:
    drawn: list[Html] = []
    for segment in _drawable(curve.segments):
        places = [(_x(across, x), _y(up, y)) for x, y in segment]
        if len(places) > 1:
            drawn.append(tag("polyline", points=" ".join(f"{x:g},{y:g}" for x, y in places)))
        else:
            ((x, y),) = places
            drawn.append(tag("circle", cx=x, cy=y, r=2))
    return tag("g", tag("title", curve.label), drawn, class_=_tone(curve))


def _tone(curve: Curve) -> str:
    return f"curve tone{curve.tone % TONES}" + (" dashed" if curve.tone >= TONES else "")


def _legend(curves: Sequence[Curve], *, percent: bool) -> Html:
    unit = "%" if percent else ""
    rows: list[Html] = []
    for curve in curves:
        values = [y for _, y in curve.points]
        figures = f"last {short_text(values[-1])}{unit}, least {short_text(min(values))}{unit}, most "
        key = tag("i", class_=f"key {_tone(curve)}")
        told = tag("small", f"{figures}{short_text(max(values))}{unit}")
        rows.append(tag("li", key, tag("span", curve.label, " ", told)))
    return tag("ul", rows, class_="legend")
