"""Fetching what a run left behind: whole files only, each checked by its hash, none fetched twice."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from runctl.errors import DownloadDamaged, UsageError
from runctl.model.checkpoint import CheckpointFile, Manifest

CHECKPOINTS: Final = "checkpoints"
OUTPUT: Final = "output"
LOGS: Final = "logs"

_TRIES: Final = 3
_PART: Final = ".runctl-part"


class ObjectReader(Protocol):
    """Reads objects of the bucket."""

    def read(self, key: str) -> Iterator[bytes]:
        """Read an object in chunks."""
        ...


@dataclass(frozen=True)
class WantedFile:
    """A file to fetch, and where it goes below the folder, with forward slashes."""

    place: str
    file: CheckpointFile


@dataclass(frozen=True)
class FetchedFile:
    """A file that is there now; `fetched` is False when it was there before."""

    path: Path
    bytes: int
    sha256: str
    fetched: bool


@dataclass(frozen=True)
class Download:
    """What is to be fetched from where."""

    folder: Path
    checkpoint: Manifest | None
    files: tuple[WantedFile, ...]

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return sum(wanted.file.bytes for wanted in self.files)


def wanted_files(checkpoint: Manifest | None, output: Iterable[CheckpointFile]) -> tuple[WantedFile, ...]:
    """Lay the files out: `checkpoints/<name>…` as the training wrote it, and `output/…`."""
    of_checkpoint = () if checkpoint is None else checkpoint.files
    return (
        *(WantedFile(f"{CHECKPOINTS}/{file.path}", file) for file in of_checkpoint),
        *(WantedFile(f"{OUTPUT}/{file.path}", file) for file in output),
    )


def fetch(
    download: Download, reader: ObjectReader, on_bytes: Callable[[int, int], None] = lambda _count, _total: None
) -> tuple[FetchedFile, ...]:
    """Fetch the files that are not there with the right hash; a file appears under its name only when it is whole.

    `on_bytes` hears of bytes that are there, and of how many there will be. Raises DownloadDamaged, and UsageError for
    a folder that cannot be written to.
    """
    places = [(_place(download.folder, wanted.place), wanted.file) for wanted in download.files]
    try:
        return tuple(_fetch_one(path, file, reader, on_bytes, download.total_bytes) for path, file in places)
    except OSError as error:
        raise cannot_write(download.folder, error) from error


def cannot_write(folder: Path, error: OSError) -> UsageError:
    """Say why nothing can be written there."""
    where = error.filename or folder
    return UsageError(
        f"{where} cannot be written: {error.strerror or error}.", hint="Name another folder with: --to DIR"
    )


def _place(folder: Path, place: str) -> Path:
    """Where a file goes. A machine wrote the path: it must not lead out of the folder, nor through a link in it."""
    parts = PurePosixPath(place).parts
    root = folder.resolve()
    path = root.joinpath(*parts)
    if ".." in parts or "\\" in place or "\0" in place or not path.resolve().is_relative_to(root):
        raise DownloadDamaged(f"The file {place!r} would lie outside of {folder}: it is not fetched.")
    return path


def _fetch_one(
    path: Path, file: CheckpointFile, reader: ObjectReader, on_bytes: Callable[[int, int], None], total: int
) -> FetchedFile:
    if _is_there(path, file):
        on_bytes(file.bytes, total)
        return FetchedFile(path, file.bytes, file.sha256, fetched=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}{_PART}")
    try:
        for _ in range(_TRIES):
            if _copy(reader.read(file.key), part, lambda count: on_bytes(count, total)) == file.sha256:
                part.replace(path)
                return FetchedFile(path, file.bytes, file.sha256, fetched=True)
            on_bytes(-part.stat().st_size, total)
    finally:
        part.unlink(missing_ok=True)
    raise DownloadDamaged(
        f"{path.name} is not what was saved: its hash differs.",
        hint="Fetch an older checkpoint: runctl checkpoint list RUN; runctl download RUN --checkpoint NAME",
    )


def _is_there(path: Path, file: CheckpointFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256


def _copy(chunks: Iterable[bytes], part: Path, on_bytes: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with part.open("wb") as target:
        for chunk in chunks:
            target.write(chunk)
            digest.update(chunk)
            on_bytes(len(chunk))
        target.flush()
        os.fsync(target.fileno())
    return digest.hexdigest()
