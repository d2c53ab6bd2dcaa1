"""Fetches the project by its listing: packs in parallel, each file checked by its hash, none outside its folder."""

import hashlib
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from runctl.agent.code_listing import ListedFile, Listing, merged, read_listing
from runctl.agent.job import CodeRef
from runctl.agent.object_store import CancelledTransferError, ObjectStore
from runctl.agent.setup_error import SetupCancelledError, SetupError

TRIES = 3
"""A transfer that broke off is tried again; botocore itself tries only the request again."""

FETCHES = 6
"""At once."""

_PIECE_BYTES = 1024 * 1024
_GAP_BYTES = 1024 * 1024
"""What lies unused between two files of a pack is fetched along when it is no more than this."""

Answer = TypeVar("Answer")


def fetch_code(ref: CodeRef, store: ObjectStore, target: Path, cancelled: Callable[[], bool]) -> int:
    """Put the project at `target`; answers how many files it has. Raises SetupError when it cannot be had whole."""
    stopping = threading.Event()
    fetcher = _Fetcher(store, target.with_name(f"{target.name}.packs"), lambda: cancelled() or stopping.is_set())
    files = fetcher.files(ref)
    shutil.rmtree(target, ignore_errors=True)
    try:
        _make_folders(target, files)
        with _folder(fetcher.folder), ThreadPoolExecutor(FETCHES) as pool:
            running = [pool.submit(fetcher.fetch, stretch, target) for stretch in stretches(files)]
            try:
                done, _ = wait(running, return_when=FIRST_EXCEPTION)
                for each in done:
                    each.result()
            finally:
                stopping.set()  # what still runs when one has failed need not go on
    except FileExistsError as error:
        raise SetupError(f"the project's code holds {error.filename} twice, as this machine spells it") from error
    except OSError as error:
        raise SetupError(f"the project's code could not be written: {error}") from error
    return len(files)


@dataclass(frozen=True)
class Stretch:
    """Files that lie near each other in a pack, in order of where they begin, and the bytes that have them all."""

    pack: str
    begin: int
    end: int
    files: tuple[ListedFile, ...]


def stretches(files: Iterable[ListedFile]) -> Iterator[Stretch]:
    """Say what is to be fetched: of a pack that the project uses little of any more, only that."""
    by_pack: dict[str, list[ListedFile]] = {}
    for file in files:
        by_pack.setdefault(file.pack, []).append(file)
    for pack, its in by_pack.items():
        near: list[ListedFile] = []
        begin = end = 0
        for file in sorted(its, key=lambda file: file.offset):
            if near and file.offset > end + _GAP_BYTES:
                yield Stretch(pack, begin, end, tuple(near))
                near = []
            if not near:
                begin = end = file.offset
            near.append(file)
            end = max(end, file.offset + file.stored_bytes)
        yield Stretch(pack, begin, end, tuple(near))


class _Fetcher:
    def __init__(self, store: ObjectStore, folder: Path, cancelled: Callable[[], bool]) -> None:
        self._store = store
        self.folder = folder
        self._cancelled = cancelled

    def files(self, ref: CodeRef) -> tuple[ListedFile, ...]:
        """Read what the project holds."""
        listing = self._listing(ref)
        if listing.base is None:
            return listing.files
        base = self._listing(listing.base)
        if base.base is not None:
            raise SetupError("the project's listing is a change of a change")
        return merged(base, listing)

    def fetch(self, stretch: Stretch, target: Path) -> None:
        """Fetch a part of a pack and write its files."""
        if stretch.end == stretch.begin:  # empty files
            for file in stretch.files:
                _write(file, iter(()), target)
            return
        part = self.folder / f"{hashlib.sha256(stretch.pack.encode()).hexdigest()}-{stretch.begin}"
        self._with_tries(
            lambda: self._store.get_file(stretch.pack, part, self._cancelled, (stretch.begin, stretch.end))
        )
        with part.open("rb") as content:
            for file in stretch.files:
                if self._cancelled():
                    raise SetupCancelledError
                content.seek(file.offset - stretch.begin)
                _write(file, _pieces(content, file.stored_bytes), target)
        part.unlink()

    def _listing(self, ref: CodeRef) -> Listing:
        body = self._with_tries(lambda: self._store.get(ref.key))
        sha256 = hashlib.sha256(body).hexdigest()
        if sha256 != ref.sha256:
            raise SetupError(f"the project's code is damaged: the hash of its listing is {sha256}, not {ref.sha256}")
        return read_listing(body)

    def _with_tries(self, fetch: Callable[[], Answer]) -> Answer:
        for attempt in range(1, TRIES + 1):
            if self._cancelled():
                raise SetupCancelledError
            try:
                return fetch()
            except CancelledTransferError as error:
                raise SetupCancelledError from error
            except OSError as error:
                if attempt == TRIES:
                    raise SetupError(f"the project's code could not be fetched: {error}") from error
        raise AssertionError("the loop returns or raises")


def _make_folders(target: Path, files: Sequence[ListedFile]) -> None:
    target.mkdir(parents=True)
    for folder in sorted({file.path.rpartition("/")[0] for file in files}):
        (target / folder).mkdir(parents=True, exist_ok=True)


@contextmanager
def _folder(path: Path) -> Generator[None]:
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _pieces(content: BinaryIO, count: int) -> Iterator[bytes]:
    while count > 0 and (piece := content.read(min(count, _PIECE_BYTES))):
        count -= len(piece)
        yield piece


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack in pieces of bounded size, whatever they claim to hold."""
    unpacker = zlib.decompressobj()
    for piece in pieces:
        while piece:
            yield unpacker.decompress(piece, _PIECE_BYTES)
            piece = unpacker.unconsumed_tail
    yield unpacker.flush()


def _write(file: ListedFile, pieces: Iterator[bytes], target: Path) -> None:
    """Write one file that was not there before. Raises SetupError when it is not what the listing says."""
    digest = hashlib.sha256()
    size = 0
    rights = 0o755 if file.is_executable else 0o644
    # Nothing that is there is written over or followed, whatever the name means to this file system.
    descriptor = os.open(target / file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, rights)
    try:
        with os.fdopen(descriptor, "wb") as out:
            for piece in _unpacked(pieces) if file.is_compressed else pieces:
                size += len(piece)
                if size > file.bytes:
                    break
                digest.update(piece)
                out.write(piece)
    except zlib.error as error:
        raise SetupError(f"the project's code is damaged: {file.path} cannot be unpacked") from error
    if size != file.bytes or digest.hexdigest() != file.sha256:
        raise SetupError(f"the project's code is damaged: {file.path} is not what was sent")
