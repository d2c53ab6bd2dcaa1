"""The listing of a project as the agent reads it: `runctl.model.code`. It is believed only once it was checked."""

import json
import zlib
from dataclasses import dataclass
from typing import Any

from runctl.agent.job import CodeRef
from runctl.agent.setup_error import SetupError

VERSION = 1
MAX_LISTING_BYTES = 256 * 1024 * 1024
"""Of a listing, unpacked: a million files with long paths."""

_GZIP = 31
"""`wbits` of zlib for a gzip file."""


@dataclass(frozen=True)
class ListedFile:
    """A file of the project and where it lies in its pack."""

    path: str
    sha256: str
    bytes: int
    is_executable: bool
    pack: str
    """Key."""
    offset: int
    stored_bytes: int
    is_compressed: bool


@dataclass(frozen=True)
class Listing:
    """A listing, or the changes of another."""

    base: CodeRef | None
    files: tuple[ListedFile, ...]
    removed: frozenset[str]


def read_listing(body: bytes) -> Listing:
    """Read one. Raises SetupError when it is not one, or names what no project holds."""
    try:
        unpacker = zlib.decompressobj(_GZIP)
        text = unpacker.decompress(body, MAX_LISTING_BYTES)
        if not unpacker.eof:
            raise SetupError("the project's listing is cut off, or too large")
        document: dict[str, Any] = json.loads(text)
        if document.get("version", VERSION) != VERSION:
            raise SetupError(f"the project's listing has version {document['version']}, this agent knows {VERSION}")
        packs = [str(key) for key, _size in document.get("packs", ())]
        base = document.get("base")
        files = tuple(_file(row, packs) for row in document.get("files", ()))
        return Listing(
            base=None if base is None else CodeRef(base["key"], base["sha256"]),
            files=files,
            removed=frozenset(document.get("removed", ())),
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, zlib.error) as error:
        raise SetupError(f"the project's listing cannot be read: {type(error).__name__}") from error


def merged(base: Listing, changes: Listing) -> tuple[ListedFile, ...]:
    """The files of a whole listing with the changes of another."""
    new = {file.path for file in changes.files}
    kept = (file for file in base.files if file.path not in new and file.path not in changes.removed)
    return (*kept, *changes.files)


def _file(row: Any, packs: list[str]) -> ListedFile:
    path, sha256, size, is_executable, pack, offset, stored_bytes, is_compressed = row
    numbers: tuple[Any, ...] = (size, pack, offset, stored_bytes)
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ValueError
    refuse_path(path)
    return ListedFile(
        path, str(sha256), size, bool(is_executable), packs[int(pack)], offset, stored_bytes, bool(is_compressed)
    )


def refuse_path(path: str) -> None:
    """Raise SetupError for what does not name a file inside the project: a listing has files, and nothing else, so
    that there is no link or device to follow once the names are right."""
    parts = path.split("/")
    if "\0" in path or any(part in {"", ".", ".."} for part in parts):
        raise SetupError(f"the project's code holds {path!r}, which would lie outside the project")
