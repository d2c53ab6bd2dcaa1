"""Curves and bars of characters. Pure."""

from collections.abc import Sequence
from typing import Final

from runctl.client.report.scales import Scale, scale

Point = tuple[float, float]

_BRAILLE: Final = 0x2800
_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of each dot, row by row, two a row (The Unicode Standard, "Braille Patterns")."""

_LABEL_WIDTH: Final = 8


def plot_lines(points: Sequence[Point], *, width: int, height: int, ascii_only: bool) -> list[str]:
    """Draw a curve into `height` lines of `width` characters, with its bounds at the left. Without points: no lines."""
    if not points or height < 1 or width < _LABEL_WIDTH + 4:
        return []
    values = [value for _, value in points]
    up = scale(min(values), max(values), may_be_log=True)
    across, down = (1, 1) if ascii_only else (2, 4)
    columns = (width - _LABEL_WIDTH - 2) * across
    dots = _dots(_column_means(points, columns), up, height * down)
    drawn = _starred(dots, columns, height) if ascii_only else _braille(dots, columns // 2, height)
    labels = [""] * height
    labels[-1] = up.text(up.low)
    labels[0] = up.text(up.high)
    edge = "|" if ascii_only else "│"
    return [f"{label[:_LABEL_WIDTH]:>{_LABEL_WIDTH}} {edge}{line}" for label, line in zip(labels, drawn, strict=True)]


def bar(share: float, width: int, *, ascii_only: bool) -> str:
    """Draw a share of a whole as a bar."""
    full, rest = ("#", "-") if ascii_only else ("█", "░")
    count = round(min(1.0, max(0.0, share)) * width)
    return full * count + rest * (width - count)


def _column_means(points: Sequence[Point], columns: int) -> list[float | None]:
    """The mean of the values in each column; None where there is none."""
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    found: list[list[float]] = [[] for _ in range(columns)]
    for x, value in points:
        share = (x - low) / (high - low) if high > low else 0.0
        found[min(columns - 1, int(share * columns))].append(value)
    return [sum(values) / len(values) if values else None for values in found]


def _dots(values: Sequence[float | None], up: Scale, rows: int) -> set[tuple[int, int]]:
    """Which dots (column, row from the top) the curve passes; between two columns it is straight."""
    dots: set[tuple[int, int]] = set()
    before: tuple[int, int] | None = None
    for column, value in enumerate(values):
        if value is None:
            continue
        row = min(rows - 1, round((1 - up.share(value)) * (rows - 1)))
        if before is not None:
            dots |= set(_between(before, (column, row)))
        dots.add((column, row))
        before = (column, row)
    return dots


def _between(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    return [
        (
            start[0] + round((end[0] - start[0]) * number / steps),
            start[1] + round((end[1] - start[1]) * number / steps),
        )
        for number in range(1, steps)
    ]


def _starred(dots: set[tuple[int, int]], columns: int, height: int) -> list[str]:
    return ["".join("*" if (column, row) in dots else " " for column in range(columns)) for row in range(height)]


def _braille(dots: set[tuple[int, int]], columns: int, height: int) -> list[str]:
    cells = [[0] * columns for _ in range(height)]
    for column, row in dots:
        cells[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    return ["".join(chr(_BRAILLE + cell) if cell else " " for cell in line) for line in cells]
