"""Tables of a report; a wide one scrolls by itself on a narrow screen."""

from collections.abc import Sequence
from dataclasses import dataclass

from runctl.client.report.markup import Html, tag


@dataclass(frozen=True)
class Cell:
    """One cell, and how it breaks."""

    text: str
    kind: str

    @classmethod
    def exact(cls, text: str) -> "Cell":
        """Figures, ids and words that stay on one line."""
        return cls(text, "exact")

    @classmethod
    def wide(cls, text: str) -> "Cell":
        """Sentences."""
        return cls(text, "wide")


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Html:
    """Lay rows below a head."""
    top = tag("thead", tag("tr", [tag("th", name, scope="col") for name in head]))
    body = tag("tbody", [tag("tr", [tag("td", cell.text, class_=cell.kind) for cell in row]) for row in rows])
    return tag("div", tag("table", top, body), class_="scroll")
