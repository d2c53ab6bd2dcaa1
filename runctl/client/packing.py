"""Packs: the contents of many small files one behind the other: ten thousand files must not be ten thousand requests.

A PUT costs what 200 KB cost in a month (Amazon S3 pricing), and each takes a round trip.
"""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from runctl.client.code_memory import Place
from runctl.client.project import ProjectFile
from runctl.errors import InvalidSpec
from runctl.model.keys import pack_key

PACK_BYTES: Final = 8 * 1024 * 1024
"""Content of a pack before compression, at most. A pack is made in memory, several at a time."""

_LEVEL: Final = 6
_SAMPLE_BYTES: Final = 16 * 1024
_WORTH_IT: Final = 0.9
_PIECE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True)
class WantedContent:
    """A content that is to be sent, and one file that has it."""

    file: ProjectFile
    sha256: str


@dataclass(frozen=True)
class Packed:
    """A pack that was made: where each content lies in it, by SHA-256, and what to upload."""

    key: str
    sha256: bytes
    size: int
    places: dict[str, Place]
    body: bytes | Path
    """A path only for a large file, which is never held in memory."""


def in_packs(wanted: Iterable[WantedContent]) -> Iterator[list[WantedContent]]:
    """Put contents together, in the order of their paths; a large one alone. The same contents make the same packs."""
    pack: list[WantedContent] = []
    size = 0
    for content in sorted(wanted, key=lambda content: content.file.path):
        if content.file.bytes > PACK_BYTES:
            yield [content]
            continue
        if pack and size + content.file.bytes > PACK_BYTES:
            yield pack
            pack, size = [], 0
        pack.append(content)
        size += content.file.bytes
    if pack:
        yield pack


def make_pack(contents: list[WantedContent], folder: Path) -> Packed:
    """Read, compress and lay out. Raises InvalidSpec for a file that cannot be read or is not what it was."""
    first = contents[0]
    if first.file.bytes > PACK_BYTES:
        return _large(first, folder)
    places: dict[str, tuple[int, int, bool]] = {}
    pieces: list[bytes] = []
    offset = 0
    for content in contents:
        body = _read(content)
        stored = zlib.compress(body, _LEVEL) if _is_worth_it(body[:_SAMPLE_BYTES]) else body
        is_compressed = len(stored) < len(body)
        piece = stored if is_compressed else body
        places[content.sha256] = (offset, len(piece), is_compressed)
        pieces.append(piece)
        offset += len(piece)
    whole = b"".join(pieces)
    digest = hashlib.sha256(whole)
    key = pack_key(digest.hexdigest())
    return Packed(
        key, digest.digest(), len(whole), {sha256: Place(key, *where) for sha256, where in places.items()}, whole
    )


def file_digest(path: Path) -> str:
    """SHA-256 of a file. Raises InvalidSpec when it cannot be read."""
    try:
        with path.open("rb", buffering=0) as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(str(path), error) from error


def _read(content: WantedContent) -> bytes:
    try:
        with content.file.source.open("rb", buffering=0) as opened:
            body = opened.read()
    except OSError as error:
        raise _unreadable(content.file.path, error) from error
    if hashlib.sha256(body).hexdigest() != content.sha256:
        raise _changed(content.file.path)
    return body


def _large(content: WantedContent, folder: Path) -> Packed:
    """One file, compressed on the disk when that is worth it, else sent as it lies there."""
    source = content.file.source
    try:
        with source.open("rb") as opened:
            if not _is_worth_it(opened.read(_SAMPLE_BYTES)):
                return _one(content, source, content.sha256, os.fstat(opened.fileno()).st_size, is_compressed=False)
            opened.seek(0)
            target = folder / content.sha256
            with target.open("wb") as out:
                own, stored = _compress(opened, out.write)
    except OSError as error:
        raise _unreadable(content.file.path, error) from error
    if own != content.sha256:
        raise _changed(content.file.path)
    return _one(content, target, stored, target.stat().st_size, is_compressed=True)


def _one(content: WantedContent, path: Path, sha256: str, size: int, *, is_compressed: bool) -> Packed:
    key = pack_key(sha256)
    return Packed(key, bytes.fromhex(sha256), size, {content.sha256: Place(key, 0, size, is_compressed)}, path)


def _compress(source: BinaryIO, write: Callable[[bytes], object]) -> tuple[str, str]:
    """Answer the hashes of what was read and of what was written."""
    own, stored = hashlib.sha256(), hashlib.sha256()
    compressor = zlib.compressobj(_LEVEL)
    while piece := source.read(_PIECE_BYTES):
        own.update(piece)
        packed = compressor.compress(piece)
        stored.update(packed)
        write(packed)
    packed = compressor.flush()
    stored.update(packed)
    write(packed)
    return own.hexdigest(), stored.hexdigest()


def _is_worth_it(sample: bytes) -> bool:
    """Whether compression gains enough, by a fast look at the beginning: pictures and weights do not shrink."""
    return len(zlib.compress(sample, 1)) < _WORTH_IT * len(sample)


def refuse_if_changed(content: WantedContent) -> None:
    """Raise InvalidSpec when a file that was sent as it lies on the disk is another one by now."""
    try:
        is_same = content.file.has_stamp_of(os.stat(content.file.source))  # noqa: PTH116 - as the walk did
    except OSError as error:
        raise _unreadable(content.file.path, error) from error
    if not is_same:
        raise _changed(content.file.path)


def _unreadable(path: str, error: OSError) -> InvalidSpec:
    return InvalidSpec(
        f"{path} cannot be read: {error.strerror or error}.",
        hint="Exclude it in .gitignore, or mend its rights, and run the command again.",
    )


def _changed(path: str) -> InvalidSpec:
    return InvalidSpec(
        f"{path} changed while it was read.",
        hint="Run the command again when nothing writes to it, or exclude it in .gitignore.",
    )
