"""Cuts the training's log into lines that CloudWatch Logs takes, each with the place in the file where it ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runctl.agent.run_log import MAX_LINE_BYTES, as_terminal

PIECE_BYTES = 1024 * 1024
_FIRST_OF_CHARACTER = 0xC0
_INSIDE_CHARACTER = 0x80
_LONGEST_CHARACTER = 4


@dataclass(frozen=True)
class Line:
    """What is sent as one event; `end` is the place in the file that it reaches to."""

    end: int
    text: str


def read_lines(path: Path, offset: int, *, show_unfinished: bool = False, final: bool = False) -> list[Line]:
    """Read the complete lines from `offset` on, at most about a mebibyte of them; empty when there are none.

    The same bytes give the same lines however often they are read. A line without its end waits, unless it is longer
    than an event may be; `show_unfinished` hands out how far a progress bar has come that writes over itself, `final`
    all that is left.
    """
    with path.open("rb") as file:
        file.seek(offset)
        piece = file.read(PIECE_BYTES)
    end_of_lines = piece.rfind(b"\n") + 1
    rest = piece[end_of_lines:]
    lines: list[Line] = []
    for raw in piece[:end_of_lines].splitlines(keepends=True) if b"\r" not in piece else _split(piece[:end_of_lines]):
        lines.extend(_events(raw, offset))
        offset += len(raw)
    bar_end = rest.rfind(b"\r") + 1
    if bar_end and (show_unfinished or len(rest) > MAX_LINE_BYTES):
        lines.extend(_events(rest[:bar_end], offset))
    elif len(rest) > MAX_LINE_BYTES:
        lines.extend(_events(rest[: _last_character(rest)], offset))
    elif final and rest and len(piece) < PIECE_BYTES:
        lines.extend(_events(rest, offset))
    return lines


def _split(lines: bytes) -> Iterator[bytes]:
    """Split at line feeds only: a carriage return ends no line."""
    start = 0
    while start < len(lines):
        end = lines.index(b"\n", start) + 1
        yield lines[start:end]
        start = end


def _events(raw: bytes, offset: int) -> Iterator[Line]:
    """One event, or several where the line is too long for one."""
    end = offset + len(raw)
    text = as_terminal(raw.decode("utf-8", "replace").rstrip("\r\n")) or " "  # a message may not be empty
    if len(text) * _LONGEST_CHARACTER <= MAX_LINE_BYTES or len(text.encode()) <= MAX_LINE_BYTES:
        yield Line(end, text)
        return
    width = MAX_LINE_BYTES // _LONGEST_CHARACTER
    kept = raw.rstrip(b"\r\n").rsplit(b"\r", 1)[-1]
    start = offset + raw.index(kept)
    while len(kept) > width:
        cut = _last_character(kept[: width + 1])
        start += cut
        yield Line(start, kept[:cut].decode("utf-8", "replace"))
        kept = kept[cut:]
    yield Line(end, kept.decode("utf-8", "replace"))


def _last_character(data: bytes) -> int:
    """Where the last character begins; at the last byte where there is no such place."""
    for back in range(1, min(_LONGEST_CHARACTER, len(data)) + 1):
        if data[-back] & _FIRST_OF_CHARACTER != _INSIDE_CHARACTER:
            return len(data) - back
    return len(data) - 1
