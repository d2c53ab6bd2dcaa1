"""Sees complete checkpoints in `RUNCTL_CHECKPOINT_DIR`: each entry, a file or a folder, is one."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

UNFINISHED_SUFFIXES = (".tmp", ".partial")
_LAST_NUMBER = re.compile(r"(\d+)(?!.*\d)", re.DOTALL)


@dataclass(frozen=True)
class FileMark:
    """What tells that a file has not changed."""

    path: str
    """Relative to the checkpoint directory, with forward slashes."""
    bytes: int
    modified_ns: int


@dataclass(frozen=True)
class Checkpoint:
    """An entry as it was seen."""

    name: str
    files: tuple[FileMark, ...]
    finished_ns: int
    """The last change of the entry or of anything in it, renaming included."""
    renamed: bool
    """Whether it was renamed after it was last written: the writer says that it is whole."""

    @property
    def step(self) -> int | None:
        """The last number in the name: 400 of `step-400.npz`."""
        found = _LAST_NUMBER.search(self.name)
        return int(found[1]) if found else None

    @property
    def saved_at(self) -> datetime:
        """When it was finished."""
        return datetime.fromtimestamp(self.finished_ns / 1e9, UTC)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)


def scan(folder: Path) -> list[Checkpoint]:
    """Look at all entries that claim to be finished, oldest first; those that vanish meanwhile are passed over."""
    found: list[Checkpoint] = []
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        if is_unfinished(entry.name):
            continue
        try:
            checkpoint = _look(folder, entry)
        except FileNotFoundError:
            continue
        if checkpoint.files:
            found.append(checkpoint)
    return sorted(found, key=lambda checkpoint: checkpoint.finished_ns)


def is_unfinished(name: str) -> bool:
    """Whether a name says that its writer is not done."""
    return name.startswith(".") or name.endswith(UNFINISHED_SUFFIXES)


class CheckpointFolder:
    """Remembers what was seen, so that an entry that is still being written is not taken for a checkpoint."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, Checkpoint] = {}
        self._taken: dict[str, tuple[FileMark, ...]] = {}

    def complete(self, *, writer_is_gone: bool = False) -> list[Checkpoint]:
        """Look again: the entries that are complete and were not taken yet, oldest first.

        Complete is what was renamed into its place, or did not change from one look to the next, or whatever is there
        when nobody writes any more.
        """
        looked = scan(self._folder)
        ready = [
            checkpoint
            for checkpoint in looked
            if self._taken.get(checkpoint.name) != checkpoint.files
            and (writer_is_gone or checkpoint.renamed or self._is_unchanged(checkpoint))
        ]
        self._seen = {checkpoint.name: checkpoint for checkpoint in looked}
        return ready

    def note(self, name: str, files: tuple[FileMark, ...]) -> None:
        """Note what was dealt with before this folder was looked at."""
        self._taken[name] = files

    def take(self, checkpoint: Checkpoint) -> None:
        """Note that a checkpoint was dealt with; it comes again only when it has changed."""
        self._taken[checkpoint.name] = checkpoint.files

    def is_still(self, checkpoint: Checkpoint) -> bool:
        """Whether the entry is what it was when it was looked at."""
        try:
            return _look(self._folder, self._folder / checkpoint.name).files == checkpoint.files
        except FileNotFoundError:
            return False

    def path(self, file: FileMark) -> Path:
        """Where a file lies."""
        return self._folder / file.path

    def _is_unchanged(self, checkpoint: Checkpoint) -> bool:
        before = self._seen.get(checkpoint.name)
        return before is not None and before.files == checkpoint.files


def _look(folder: Path, entry: Path) -> Checkpoint:
    status = entry.stat()
    files: list[FileMark] = []
    newest_inside = 0
    for path in sorted(_files_below(entry)):
        inside = path.stat()
        files.append(FileMark(path.relative_to(folder).as_posix(), inside.st_size, inside.st_mtime_ns))
        newest_inside = max(newest_inside, inside.st_ctime_ns)
    # Renaming sets the time of change (ctime) of what is renamed and leaves the time of writing (mtime) alone; writing
    # sets both. A folder's own times say nothing of its files, which must be older than the renaming.
    written_ns = max(status.st_mtime_ns, newest_inside if entry.is_dir() else 0)
    finished_ns = max(status.st_ctime_ns, status.st_mtime_ns, newest_inside)
    return Checkpoint(entry.name, tuple(files), finished_ns, renamed=status.st_ctime_ns > written_ns)


def _files_below(entry: Path) -> Iterator[Path]:
    if not entry.is_dir():
        yield entry
        return
    for parent, _, names in os.walk(entry):
        yield from (Path(parent, name) for name in names)
