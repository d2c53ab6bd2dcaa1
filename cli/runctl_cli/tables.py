"""Tables of plain text, as wide as their words."""

from collections.abc import Iterable, Sequence


def table_lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lay rows below a head, columns two spaces apart; an empty cell reads as a dash."""
    filled = [tuple(cell or "-" for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in [tuple(head), *filled]) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [tuple(head), *filled]
    ]
