"""Sends a project by content: what is in the bucket already is not sent again, a changed file moves itself alone."""

import gzip
import hashlib
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from pydantic import ValidationError

from runctl.aws.code_objects import LARGEST_COPY, StoredObject
from runctl.client.code_memory import CodeMemory, KnownFile, MemoryFile
from runctl.client.packing import Packed, WantedContent, file_digest, in_packs, make_pack, refuse_if_changed
from runctl.client.project import ProjectFile, ProjectFiles
from runctl.model.code import CodeFile, CodeListing, CodePack
from runctl.model.keys import code_key
from runctl.model.run import CodeRef
from runctl.model.timing import CODE_RENEWED_AFTER

_UPLOADS: Final = 8
"""At once; botocore keeps ten connections."""

_HASHED_AT_ONCE: Final = 200
_MOST_CHANGES: Final = 8
"""A listing is written as changes of another while these are fewer than one in so many of the project's files."""

_FEW_CHANGES: Final = 50

OnBytes = Callable[[int, int], None]


class CodeBucket(Protocol):
    """The bucket's `code/` prefix, for several threads."""

    @property
    def name(self) -> str:
        """The bucket's name."""
        ...

    def look(self, key: str) -> StoredObject | None:
        """Look for an object; None when there is none."""
        ...

    def read(self, key: str) -> bytes | None:
        """Read a small object; None when there is none."""
        ...

    def put(self, key: str, body: bytes, sha256: bytes) -> None:
        """Write a small object, checked by its hash."""
        ...

    def upload(self, key: str, path: Path, on_bytes: Callable[[int], None]) -> None:
        """Write a large object."""
        ...

    def renew(self, key: str) -> None:
        """Let an object count as written now."""
        ...


@dataclass(frozen=True)
class SyncedCode:
    """A project that lies in the bucket, and what was moved for it."""

    code: CodeRef
    files: int
    bytes: int
    """Of all files."""
    sent_files: int
    """Files whose content had to be sent."""
    sent_bytes: int
    """What went to the bucket, compressed, the listing with it."""

    @property
    def was_sent(self) -> bool:
        """Whether anything was."""
        return self.sent_bytes > 0


class CodeSync:
    """Sends projects to one bucket."""

    def __init__(self, bucket: CodeBucket, memory_folder: Path, now: Callable[[], datetime]) -> None:
        self._bucket = bucket
        self._memory_folder = memory_folder
        self._now = now

    def send(self, root: Path, files: ProjectFiles, on_bytes: OnBytes) -> SyncedCode:
        """Send what is not there of a project.

        `on_bytes` hears, in any thread, of bytes of files that were sent, and of how many there are to send. Raises
        InvalidSpec for a file that cannot be read, or changes meanwhile.
        """
        memory_file = MemoryFile(self._memory_folder, root, self._bucket.name)
        memory = memory_file.read()
        began = self._now()
        with _workers() as pool:
            hashes = _hashes(files.files, memory, pool)
            digest = _digest(files.files, hashes)
            listing = memory.states.get(digest)
            renewed = self._check(memory, set(hashes.values()), listing, pool)
            listing = memory.states.get(digest)
            _note_changes(files.files, hashes, memory)
            missing = _missing(files.files, hashes, memory)
            sent_bytes, sent_files = 0, 0
            if missing:
                sent_bytes = self._send(missing, memory, on_bytes, pool)
                sent_files = len(missing)
        if listing is None:
            listing, listing_bytes = self._list(files.files, hashes, memory, digest)
            sent_bytes += listing_bytes
        if sent_bytes or renewed or _is_news(files.files, hashes, memory):
            _remember(files.files, hashes, memory, began)
            memory_file.write(memory)
        return SyncedCode(listing, len(files.files), files.bytes, sent_files, sent_bytes)

    def confirm(self, code: CodeRef) -> bool:
        """Whether all that a listing names is in the bucket, for a run that uses it again; what is old is renewed."""
        listing = self._read(code)
        if listing is None:
            return False
        sizes = {code.key: code.bytes, **_packs_of(listing.files, listing.packs)}
        if listing.base is not None:
            base = self._read(listing.base)
            if base is None:
                return False
            other = {file.path for file in listing.files} | set(listing.removed)
            used = tuple(file for file in base.files if file.path not in other)
            sizes |= {listing.base.key: listing.base.bytes, **_packs_of(used, base.packs)}
        with _workers() as pool:
            gone, _ = self._look(sizes, pool)
        return not gone

    # -- what is there -------------------------------------------------------------------------------------------

    def _check(self, memory: CodeMemory, wanted: set[str], listing: CodeRef | None, pool: ThreadPoolExecutor) -> bool:
        """Look for everything that the memory says is there and that is needed; forget what is not. Says whether the
        memory is another one now."""
        used = {place.pack for sha256 in wanted if (place := memory.places.get(sha256)) is not None}
        sizes = {key: memory.packs[key] for key in used}
        base = memory.base if listing is None else memory.bases.get(listing.key)
        listings = {ref.key: ref.bytes for ref in (listing, base) if ref is not None}
        gone, renewed = self._look(sizes | listings, pool)
        if gone & listings.keys():
            memory.forget_listings()
        if gone - listings.keys():
            memory.forget_packs(gone)
        return bool(gone) or renewed

    def _look(self, sizes: dict[str, int], pool: ThreadPoolExecutor) -> tuple[set[str], bool]:
        """Look for objects of these sizes; answer which are not there, and whether one was renewed."""
        gone: set[str] = set()
        old: list[str] = []
        limit = self._now() - CODE_RENEWED_AFTER
        for (key, size), found in zip(sizes.items(), pool.map(self._bucket.look, sizes), strict=True):
            if found is None or found.bytes != size or found.sha256 not in (None, _named(key)):
                gone.add(key)
            elif found.written_at < limit:
                if size > LARGEST_COPY:
                    gone.add(key)
                else:
                    old.append(key)
        for _ in pool.map(self._bucket.renew, old):
            pass
        return gone, bool(old)

    def _read(self, ref: CodeRef) -> CodeListing | None:
        body = self._bucket.read(ref.key)
        if body is None or hashlib.sha256(body).hexdigest() != ref.sha256:
            return None
        try:
            return CodeListing.model_validate_json(gzip.decompress(body))
        except (ValidationError, OSError, EOFError):
            return None

    # -- what is sent --------------------------------------------------------------------------------------------

    def _send(
        self, missing: list[WantedContent], memory: CodeMemory, on_bytes: OnBytes, pool: ThreadPoolExecutor
    ) -> int:
        """Send contents; answer how many bytes went out."""
        total = sum(content.file.bytes for content in missing)
        # Packs are made where they are sent: no more of them are in memory than are on their way.
        with tempfile.TemporaryDirectory(prefix="runctl-") as folder:
            sender = _Sender(self._bucket, Path(folder), total, on_bytes)
            for packed, sent in pool.map(sender.send, in_packs(missing)):
                memory.packs[packed.key] = packed.size
                memory.places.update(packed.places)
                sender.sent_bytes += sent
            return sender.sent_bytes

    def _list(
        self, files: tuple[ProjectFile, ...], hashes: dict[str, str], memory: CodeMemory, digest: str
    ) -> tuple[CodeRef, int]:
        """Write the listing: the changes of the last whole one where they are few, else a whole one."""
        changed, removed, paths = memory.changed, memory.removed, {file.path for file in files}
        base = memory.base
        if base is None or len(changed) + len(removed) > max(_FEW_CHANGES, len(files) // _MOST_CHANGES):
            base, changed, removed = None, paths, set[str]()
        body = _listing_body((file for file in files if file.path in changed), hashes, memory, base, removed)
        sha256 = hashlib.sha256(body)
        ref = CodeRef(key=code_key(sha256.hexdigest()), sha256=sha256.hexdigest(), bytes=len(body))
        self._bucket.put(ref.key, body, sha256.digest())
        if base is None:
            memory.base, memory.changed, memory.removed = ref, set(), set()
        memory.remember_state(digest, ref, base)
        return ref, len(body)


@contextmanager
def _workers() -> Generator[ThreadPoolExecutor]:
    """Threads for what is read and sent; what was not begun when something fails is not done any more."""
    with ThreadPoolExecutor(_UPLOADS) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Sender:
    """Makes and sends packs, in several threads."""

    def __init__(self, bucket: CodeBucket, folder: Path, total: int, on_bytes: OnBytes) -> None:
        self._bucket = bucket
        self._folder = folder
        self._total = total
        self._on_bytes = on_bytes
        self._lock = threading.Lock()
        self.sent_bytes = 0

    def send(self, contents: list[WantedContent]) -> tuple[Packed, int]:
        """Make a pack and send it unless it is there; answer how many bytes went out."""
        packed = make_pack(contents, self._folder)
        size = sum(content.file.bytes for content in contents)
        found = self._bucket.look(packed.key)
        is_there = found is not None and found.bytes == packed.size and found.sha256 in (None, packed.sha256.hex())
        if isinstance(packed.body, bytes):
            if not is_there:
                self._bucket.put(packed.key, packed.body, packed.sha256)
            self._tell(size)
        else:
            self._send_large(packed, contents[0], size, is_there=is_there)
        return Packed(packed.key, packed.sha256, packed.size, packed.places, b""), 0 if is_there else packed.size

    def _send_large(self, packed: Packed, content: WantedContent, size: int, *, is_there: bool) -> None:
        body = packed.body
        assert isinstance(body, Path)
        if is_there:
            self._tell(size)
        else:
            share = size / packed.size if packed.size else 1.0
            self._bucket.upload(packed.key, body, lambda count: self._tell(round(count * share)))
        if body == content.file.source:
            refuse_if_changed(content)
        else:
            body.unlink()

    def _tell(self, count: int) -> None:
        with self._lock:
            self._on_bytes(count, self._total)


def _hashes(files: Iterable[ProjectFile], memory: CodeMemory, pool: ThreadPoolExecutor) -> dict[str, str]:
    """The SHA-256 of each file by its path: the one that is known for a file that is the same, else calculated."""
    hashes: dict[str, str] = {}
    unknown: list[ProjectFile] = []
    known_files = memory.files
    for file in files:
        known = known_files.get(file.path)
        if known is not None and tuple(known.stamp) == file.stamp:
            hashes[file.path] = known.sha256
        else:
            unknown.append(file)
    pieces = [unknown[start : start + _HASHED_AT_ONCE] for start in range(0, len(unknown), _HASHED_AT_ONCE)]
    for piece, digests in zip(pieces, pool.map(_digests, pieces), strict=True):
        hashes.update({file.path: digest for file, digest in zip(piece, digests, strict=True)})
    return hashes


def _digests(files: list[ProjectFile]) -> list[str]:
    return [file_digest(file.source) for file in files]


def _note_changes(files: tuple[ProjectFile, ...], hashes: dict[str, str], memory: CodeMemory) -> None:
    """Keep what may be other than in the base: what is not as it was when the project was last sent."""
    before = memory.files
    paths = {file.path for file in files}
    memory.changed |= {
        file.path
        for file in files
        if (known := before.get(file.path)) is None
        or (known.sha256, known.is_executable) != (hashes[file.path], file.is_executable)
    }
    memory.removed = (memory.removed | (before.keys() - paths) | (memory.changed - paths)) - paths
    memory.changed &= paths


def _named(key: str) -> str:
    """The SHA-256 that a key names."""
    return key.rpartition("/")[2].partition(".")[0]


def _packs_of(files: Iterable[CodeFile], packs: tuple[CodePack, ...]) -> dict[str, int]:
    """Sizes of the packs that files lie in, by key."""
    return {packs[number].key: packs[number].bytes for number in {file.pack for file in files}}


def _digest(files: Iterable[ProjectFile], hashes: dict[str, str]) -> str:
    """Name a state of the project: paths, contents and the right to execute."""
    text = "".join(f"{file.path}\0{hashes[file.path]}{'x' if file.is_executable else '-'}\n" for file in files)
    return hashlib.sha256(text.encode()).hexdigest()


def _missing(files: Iterable[ProjectFile], hashes: dict[str, str], memory: CodeMemory) -> list[WantedContent]:
    """What is nowhere in the bucket, each content once."""
    found: dict[str, WantedContent] = {}
    for file in files:
        sha256 = hashes[file.path]
        if sha256 not in memory.places and sha256 not in found:
            found[sha256] = WantedContent(file, sha256)
    return list(found.values())


def _listing_body(
    files: Iterable[ProjectFile],
    hashes: dict[str, str],
    memory: CodeMemory,
    base: CodeRef | None,
    removed: set[str],
) -> bytes:
    numbers: dict[str, int] = {}
    rows: list[CodeFile] = []
    for file in files:
        sha256 = hashes[file.path]
        place = memory.places[sha256]
        number = numbers.setdefault(place.pack, len(numbers))
        rows.append(
            CodeFile(
                file.path,
                sha256,
                file.bytes,
                file.is_executable,
                number,
                place.offset,
                place.stored_bytes,
                place.is_compressed,
            )
        )
    packs = tuple(CodePack(key, memory.packs[key]) for key in numbers)
    listing = CodeListing(base=base, packs=packs, files=tuple(rows), removed=tuple(sorted(removed)))
    return gzip.compress(listing.model_dump_json(exclude_defaults=True).encode(), mtime=0)


def _is_news(files: tuple[ProjectFile, ...], hashes: dict[str, str], memory: CodeMemory) -> bool:
    """Whether the memory says something else of the project than what was seen now."""
    known = memory.files
    return len(known) != len(files) or any(
        (entry := known.get(file.path)) is None or tuple(entry.stamp) != file.stamp or entry.sha256 != hashes[file.path]
        for file in files
    )


_TOO_FRESH: Final = timedelta(seconds=2)
"""A file that was written as late as this before it was read may change once more without another time: file systems
count in ticks (git's documentation, "Use of index and Racy Git problem")."""


def _remember(files: tuple[ProjectFile, ...], hashes: dict[str, str], memory: CodeMemory, began: datetime) -> None:
    settled_ns = int((began - _TOO_FRESH).timestamp() * 1e9)
    memory.files = {
        file.path: KnownFile(
            list(file.stamp) if file.stamp[1] < settled_ns else [],
            hashes[file.path],
            file.is_executable,
        )
        for file in files
    }
    memory.prune(set(hashes.values()))
