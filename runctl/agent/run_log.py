"""The training's log on the machine, and what is read from its end."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

Say = Callable[[str], None]
"""Writes a line of the agent's own into the training's log."""

PREFIX = "runctl: "
UNSAID_BYTES = 64 * 1024
"""What is kept of the agent's own lines while the disk refuses them."""

LAST_LINES = 20
LAST_CHARACTERS = 4_096
MAX_LINE_BYTES = 256 * 1024 - 26
"""CloudWatch Logs counts 26 bytes for each event; 256 KB was its limit for long, and is below the present 1 MB."""


class RunLog:
    """One file that the training and the agent append to; opened for appending, so that lines do not mix."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unsaid = b""
        self._lock = threading.Lock()
        path.touch()

    def say(self, text: str) -> None:
        """Append lines of the agent's own. What a full disk refuses is appended when the next is said: words must never
        be the reason that a training ends."""
        lines = "".join(f"{PREFIX}{line}\n" for line in text.splitlines()).encode("utf-8", "replace")
        with self._lock:
            self._unsaid = (self._unsaid + lines)[-UNSAID_BYTES:]
            try:
                with self.path.open("ab", buffering=0) as file:
                    while self._unsaid:
                        self._unsaid = self._unsaid[file.write(self._unsaid) or 0 :]
            except OSError:
                return

    def open(self) -> BinaryIO:
        """Open it for a process to write to."""
        return self.path.open("ab")

    def last_lines(self) -> tuple[str, ...]:
        """The last lines of the training: at most 20, and 4,096 characters in all."""
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            file.seek(max(0, size - 64 * 1024))
            text = file.read().decode("utf-8", "replace")
        lines: list[str] = []
        left = LAST_CHARACTERS
        for line in reversed(text.split("\n")):
            shown = as_terminal(line)
            if not shown or shown.startswith(PREFIX):
                continue
            if len(lines) == LAST_LINES or left <= 0:
                break
            lines.append(shown[-left:])
            left -= len(lines[-1])
        return tuple(reversed(lines))


def as_terminal(line: str) -> str:
    """Show a line as a terminal would after its carriage returns, which progress bars use to write over themselves."""
    return line.rstrip("\r\n").rsplit("\r", 1)[-1]


def open_log(folder: Path, stamp: str) -> RunLog:
    """The attempt's log: the one that an agent before this one began, else `training-<stamp>.log`."""
    begun = sorted(folder.glob("training-*.log"))
    return RunLog(begun[0] if begun else folder / f"training-{stamp}.log")


class LineReader:
    """Reads the new lines of a file that grows, in bounded pieces."""

    def __init__(self, path: Path, *, piece_bytes: int = 1024 * 1024, newest_bytes: int | None = None) -> None:
        """With `newest_bytes` what is older than so much of the end is passed over."""
        self._path = path
        self._piece_bytes = piece_bytes
        self._newest_bytes = newest_bytes
        self._offset = 0
        self._rest = b""

    def read(self, *, final: bool = False) -> list[str]:
        """Read the lines that were completed since the last call, at most one piece; empty when there are none.

        `final` hands out a last line without its end as well.
        """
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                if self._newest_bytes is not None and size - self._offset > self._newest_bytes:
                    self._offset, self._rest = size - self._newest_bytes, b""
                file.seek(self._offset)
                piece = file.read(self._piece_bytes)
        except FileNotFoundError:
            return []
        self._offset += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if self._rest and (len(self._rest) > MAX_LINE_BYTES or (final and not piece)):
            lines.append(self._rest)
            self._rest = b""
        return [line.decode("utf-8", "replace") for line in lines]
