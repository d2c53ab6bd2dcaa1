"""Room on the disk that is the agent's, for the time when there is none left.

A full disk must not take the training along: what it prints goes to a file on the same disk, and a print that fails
ends most scripts. So a file of our own holds some room, and is removed when the rest is used up; the run tells of it.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from runctl.agent.trouble import Warn

HELD_BYTES = 32 * 1024 * 1024
"""Hours of most trainings' output, and little of the smallest disk that a run can ask for (8 GiB)."""

SHARE = 32
"""Room is taken only where there is this many times as much."""

LOOK_S = 1.0


class HeldRoom:
    """The file, and a look at what is left beside it."""

    def __init__(
        self, file: Path, warn: Warn, *, held_bytes: int = HELD_BYTES, free: Callable[[], int] | None = None
    ) -> None:
        self._file = file
        self._warn = warn
        self._held_bytes = held_bytes
        self._free = free or (lambda: shutil.disk_usage(file.parent).free)

    def step(self) -> None:
        """Take the room when there is plenty, let it go when there is none. Raises OSError when nobody can tell."""
        free = self._free()
        is_held = self._file.exists()
        if is_held and free < self._held_bytes // 2:
            self._file.unlink()
            shown = self._held_bytes // 2**20
            self._warn(
                f"The machine's disk is full ({free // 2**20} MiB are left). {shown} MiB that were held back are free"
                " now, for the log above all; what the training writes beyond that is lost. Ask for more with --disk."
            )
        elif not is_held and free > SHARE * self._held_bytes:
            self._take()

    def let_go(self) -> None:
        """Give the room back: the training has ended."""
        with suppress(OSError):
            self._file.unlink()

    def _take(self) -> None:
        try:
            file = os.open(self._file, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, self._held_bytes)
            finally:
                os.close(file)
        except OSError:  # a file system that cannot
            with suppress(OSError):
                self._file.unlink()
