"""Finds the TensorBoard files that a training writes, wherever it writes them."""

import os
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from runctl.agent.clock import Clock
from runctl.agent.run_log import Say
from runctl.agent.tensorboard import NAME_PATTERN, DamagedFileError, EventFile, Scalar

LOOK_AGAIN_S = 60.0
ENTRIES = 20_000
"""Entries that are looked at: a project with a data set in it must not keep the machine busy."""

FILES = 16
_PASSED_OVER = frozenset({".git", "node_modules", "__pycache__", ".venv", "venv"})


class BoardFiles:
    """Event files below some folders. What was there before the training began is not its own."""

    def __init__(self, folders: Sequence[Path], clock: Clock, say: Say) -> None:
        self._folders = folders
        self._clock = clock
        self._say = say
        self._files: dict[Path, EventFile] = {}
        self._done_with: set[Path] = set()
        self._began_at = float("inf")
        self._look_at = float("inf")

    def training_began(self, at: float) -> None:
        """From here on files are looked for. `at` in seconds of the monotonic clock: what is older came with the
        project."""
        now = self._clock.monotonic()
        self._began_at = self._clock.now().timestamp() - (now - at)
        self._look_at = now

    def read(self) -> list[Scalar]:
        """Read what is new in all files."""
        now = self._clock.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_AGAIN_S
            for path in _event_files(self._folders):
                if path in self._done_with or path in self._files or len(self._files) == FILES:
                    continue
                if _is_younger(path, self._began_at):
                    self._files[path] = EventFile(path)
        scalars: list[Scalar] = []
        for path, file in list(self._files.items()):
            scalars.extend(self._read(path, file.read))
        return scalars

    def _read(self, path: Path, read: Callable[[], list[Scalar]]) -> list[Scalar]:
        try:
            return read()
        except DamagedFileError as error:
            self._say(f"{path.name} is not read any more: {error}")
        except OSError:
            pass  # it is gone
        self._done_with.add(path)
        del self._files[path]
        return []


def _event_files(folders: Sequence[Path]) -> Iterator[Path]:
    looked_at = 0
    for folder in folders:
        for parent, names, files in os.walk(folder):
            names[:] = [name for name in names if name not in _PASSED_OVER]
            looked_at += len(names) + len(files)
            if looked_at > ENTRIES:
                return
            yield from (Path(parent, name) for name in files if fnmatch(name, NAME_PATTERN))


def _is_younger(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime >= moment
    except OSError:
        return False
