"""What this machine remembers of a project that it sent: hashes of files that did not change, and where they lie.

Nothing of it is believed alone. A hash counts for a file of the same size, times and inode only, and what is said of
the bucket is looked for there before it is relied on. A memory that cannot be read is an empty one.
"""

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from runctl.model.run import CodeRef

_VERSION: Final = 1
_STATES: Final = 16
"""Of how many states of the project the listing is remembered: going back to one of them moves nothing."""

_STRAY_PLACES: Final = 20_000
"""Of how many contents that the project has no more the place is remembered."""


class KnownFile(NamedTuple):
    """A file as it was when its hash was calculated."""

    stamp: list[int]
    sha256: str
    is_executable: bool


class Place(NamedTuple):
    """Where a file's content lies."""

    pack: str
    """Key."""
    offset: int
    stored_bytes: int
    is_compressed: bool


@dataclass
class CodeMemory:
    """One project and one bucket."""

    files: dict[str, KnownFile] = field(default_factory=dict[str, KnownFile])
    """By path: the project as it was last sent."""
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    """By SHA-256."""
    packs: dict[str, int] = field(default_factory=dict[str, int])
    """Sizes, by key."""
    states: dict[str, CodeRef] = field(default_factory=dict[str, CodeRef])
    """Listings by the digest of what they list, the newest last."""
    bases: dict[str, CodeRef] = field(default_factory=dict[str, CodeRef])
    """The base of a listing that has one, by that listing's key."""
    base: CodeRef | None = None
    """The newest whole listing; the next one may be a change of it."""
    changed: set[str] = field(default_factory=set[str])
    """Paths that are, or may be, other than in `base`."""
    removed: set[str] = field(default_factory=set[str])
    """Paths of `base` that the project does not have."""

    def remember_state(self, digest: str, listing: CodeRef, base: CodeRef | None) -> None:
        """Note the listing of a state, and forget the oldest."""
        self.states.pop(digest, None)
        self.states[digest] = listing
        if base is not None:
            self.bases[listing.key] = base
        while len(self.states) > _STATES:
            del self.states[next(iter(self.states))]
        kept = {ref.key for ref in self.states.values()}
        self.bases = {key: ref for key, ref in self.bases.items() if key in kept}

    def forget_packs(self, gone: set[str]) -> None:
        """Forget what lay in packs that are not in the bucket, and every listing, for it may name them."""
        self.places = {sha256: place for sha256, place in self.places.items() if place.pack not in gone}
        self.packs = {key: size for key, size in self.packs.items() if key not in gone}
        self.forget_listings()

    def forget_listings(self) -> None:
        """Let the next listing be a whole one."""
        self.states, self.bases, self.base = {}, {}, None
        self.changed, self.removed = set(), set()

    def prune(self, used: set[str]) -> None:
        """Forget the places of contents that are not used, but for the newest of them."""
        stray = [sha256 for sha256 in self.places if sha256 not in used]
        for sha256 in stray[: max(0, len(stray) - _STRAY_PLACES)]:
            del self.places[sha256]
        named = {place.pack for place in self.places.values()}
        self.packs = {key: size for key, size in self.packs.items() if key in named}


class MemoryFile:
    """The memory on disk."""

    def __init__(self, folder: Path, root: Path, bucket: str) -> None:
        name = hashlib.sha256(f"{root.resolve()}\0{bucket}".encode("utf-8", "surrogateescape")).hexdigest()
        self.path = folder / f"{name[:32]}.json"

    def read(self) -> CodeMemory:
        """Read it; empty when there is none that makes sense."""
        try:
            return _parsed(json.loads(self.path.read_bytes()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError):
            return CodeMemory()

    def write(self, memory: CodeMemory) -> None:
        """Replace it whole. That it cannot be written costs time at the next call and is no reason to fail."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".sync-")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                    # In one piece: `json.dump` would take the slow way round, string by string.
                    out.write(json.dumps(_document(memory), separators=(",", ":")))
                Path(name).replace(self.path)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise


def default_folder() -> Path:
    """Where memories lie (XDG Base Directory Specification)."""
    told = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(told) if told.startswith("/") else Path.home() / ".cache"
    return base / "runctl" / "sync"


def _document(memory: CodeMemory) -> dict[str, Any]:
    numbers = {key: number for number, key in enumerate(memory.packs)}
    return {
        "version": _VERSION,
        "files": memory.files,
        "packs": list(memory.packs.items()),
        "places": {
            sha256: (numbers[place.pack], place.offset, place.stored_bytes, place.is_compressed)
            for sha256, place in memory.places.items()
        },
        "states": {digest: _written(ref) for digest, ref in memory.states.items()},
        "bases": {key: _written(ref) for key, ref in memory.bases.items()},
        "base": None if memory.base is None else _written(memory.base),
        "changed": sorted(memory.changed),
        "removed": sorted(memory.removed),
    }


def _parsed(document: dict[str, Any]) -> CodeMemory:
    if document["version"] != _VERSION:
        return CodeMemory()
    packs: list[tuple[str, int]] = [(str(key), int(size)) for key, size in document["packs"]]
    keys = [key for key, _ in packs]
    base = document["base"]
    return CodeMemory(
        files={path: KnownFile(*row) for path, row in document["files"].items()},
        packs=dict(packs),
        places={
            sha256: Place(keys[number], offset, stored, is_compressed)
            for sha256, (number, offset, stored, is_compressed) in document["places"].items()
        },
        states={digest: _read(row) for digest, row in document["states"].items()},
        bases={key: _read(row) for key, row in document["bases"].items()},
        base=None if base is None else _read(base),
        changed=set(document["changed"]),
        removed=set(document["removed"]),
    )


def _written(ref: CodeRef) -> tuple[str, str, int]:
    return ref.key, ref.sha256, ref.bytes


def _read(row: Any) -> CodeRef:
    key, sha256, size = row
    return CodeRef(key=key, sha256=sha256, bytes=size)
