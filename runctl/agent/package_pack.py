"""Packs a folder into pieces, and unpacks them: a process of its own, that takes only what nobody else wants.

Started by its path, with the standard library alone: the agent beside a training must not be the one that compresses
gigabytes.
"""

import gzip
import os
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

COMPRESSION = 1
"""Wheels are compressed by half at the fastest level already; a higher one costs many times the time."""

NICE = 10
"""Beside a training that wants every core it gets a tenth of one (sched(7), "The nice value").
At idle priority it might never be done before the machine is taken back."""

TOO_LARGE = 27
"""Exit code (`EFBIG`): there would be more than is worth keeping."""

ORPHANED = 75
"""Exit code (`EX_TEMPFAIL`): the agent that waits for it is gone, and the next one packs anew."""

_BLOCK_BYTES = 1024 * 1024


class TooLargeError(Exception):
    """There would be more than is worth keeping."""


class OrphanedError(Exception):
    """Nobody waits for what is packed."""


class Pieces:
    """A file that is written, or read, as a row of files of one size."""

    def __init__(self, folder: Path, piece_bytes: int, limit_bytes: int) -> None:
        self._folder = folder
        self._piece_bytes = piece_bytes
        self._limit = limit_bytes
        self._written = 0
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> int:
        """Write to the end. Raises TooLargeError beyond the limit."""
        if self._written + len(data) > self._limit:
            raise TooLargeError
        left = memoryview(data)
        while left:
            number, place = divmod(self._written, self._piece_bytes)
            if place == 0 or self._file is None:
                self.close()
                self._file = piece(self._folder, number).open("wb")
            written = self._file.write(left[: self._piece_bytes - place])
            self._written += written
            left = left[written:]
        return len(data)

    def close(self) -> None:
        """Close the last one."""
        if self._file is not None:
            self._file.close()


class _Row:
    """Pieces that were fetched, read one after the other."""

    def __init__(self, folder: Path) -> None:
        self._chunks = _chunks(folder)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Read so many bytes, fewer only at the end."""
        while len(self._rest) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._rest += chunk
        answer, self._rest = self._rest[:size], self._rest[size:]
        return answer


def piece(folder: Path, number: int) -> Path:
    """Name a piece."""
    return folder / f"{number:04d}"


def pack(source: Path, names: Sequence[str], target: Path, piece_bytes: int, limit_bytes: int) -> None:
    """Write what there is of `names` in `source` to pieces in `target`. Raises TooLargeError, or OrphanedError once the
    process that asked for it is gone."""
    out = Pieces(target, piece_bytes, limit_bytes)
    parent = os.getppid()

    def still_wanted(member: tarfile.TarInfo) -> tarfile.TarInfo:
        if os.getppid() != parent:
            raise OrphanedError
        return member

    try:
        with (
            gzip.GzipFile(fileobj=cast("BinaryIO", out), mode="wb", compresslevel=COMPRESSION) as squeezed,
            tarfile.open(fileobj=squeezed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        ):
            for name in names:
                if (source / name).exists():
                    archive.add(source / name, name, filter=still_wanted)
    finally:
        out.close()


def unpack(source: Path, target: Path) -> None:
    """Unpack pieces. Raises tarfile.TarError for what would leave the folder, or is no archive."""
    with tarfile.open(fileobj=cast("BinaryIO", _Row(source)), mode="r|gz", bufsize=_BLOCK_BYTES) as archive:
        archive.extractall(target, filter="data")


def _chunks(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            while chunk := file.read(_BLOCK_BYTES):
                yield chunk


def main(arguments: Sequence[str]) -> int:
    """`pack SOURCE TARGET PIECE_BYTES LIMIT_BYTES NAME…` or `unpack SOURCE TARGET`; answers the exit code."""
    verb, source, target, *rest = arguments
    if verb == "unpack":
        unpack(Path(source), Path(target))
        return 0
    os.nice(NICE)
    piece_bytes, limit_bytes, *names = rest
    try:
        pack(Path(source), names, Path(target), int(piece_bytes), int(limit_bytes))
    except TooLargeError:
        return TOO_LARGE
    except OrphanedError:
        return ORPHANED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
