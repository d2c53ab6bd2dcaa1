"""The terminal's other screen, on which a live view is drawn: what stood there before stands there afterwards.

Control sequences are those of "XTerm Control Sequences" (alternate screen, cursor, wrapping) and of ECMA-48 (styles);
every terminal that calls itself other than `dumb` knows them.
"""

import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from types import TracebackType
from typing import Final, TextIO

from runctl_cli.watch_screen import Line, Span

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_END_OF_LINE: Final = "\x1b[K\r\n"
_NOTHING_BELOW: Final = "\x1b[J"
_PLAIN: Final = "\x1b[0m"
_WEIGHTS: Final = {"bold": "1", "dim": "2"}
_COLOURS: Final = {"red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class OtherScreen:
    """Enters the other screen as a context, and leaves it however that ends."""

    def __init__(self, file: TextIO | None = None, *, has_colour: bool | None = None) -> None:
        self._file = file or sys.stderr
        # https://no-color.org: set and not empty
        self._has_colour = not os.environ.get("NO_COLOR") if has_colour is None else has_colour

    @property
    def ascii_only(self) -> bool:
        """Whether the terminal's encoding has nothing but ASCII for certain."""
        return not (self._file.encoding or "").lower().replace("-", "").startswith("utf")

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines that may be drawn on. The last ones stay free: some terminals go on by themselves."""
        try:
            columns, lines = os.get_terminal_size(self._file.fileno())
        except OSError:
            columns, lines = shutil.get_terminal_size()
        return max(1, columns - 1), max(1, lines - 1)

    def __enter__(self) -> "OtherScreen":
        self._write(_ENTER)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._write(_LEAVE)

    def draw(self, lines: Sequence[Line]) -> None:
        """Draw these lines in the place of what stood there; what is wider than the screen is cut."""
        width, _ = self.size
        drawn = ["".join(map(self._styled, cut(line, width))) for line in lines]
        self._write(_HOME + _END_OF_LINE.join(drawn) + "\x1b[K" + _NOTHING_BELOW)

    def _styled(self, span: Span) -> str:
        known = {**_WEIGHTS, **(_COLOURS if self._has_colour else {})}
        codes = [known[word] for word in span.style.split() if word in known]
        return f"\x1b[{';'.join(codes)}m{span.text}{_PLAIN}" if codes else span.text

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()


def cut(line: Line, width: int) -> Line:
    """As much of a line as fits into so many columns."""
    kept: list[Span] = []
    left = width
    for span in line:
        text = ""
        for character in span.text:
            left -= columns_of(character)
            if left < 0:
                return (*kept, Span(text, span.style))
            text += character
        kept.append(Span(text, span.style))
    return tuple(kept)


def columns_of(character: str) -> int:
    """Columns that a terminal gives to a character (Unicode Standard Annex 11, "East Asian Width")."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
