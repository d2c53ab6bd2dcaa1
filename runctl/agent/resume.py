"""Fetches the checkpoint to resume from: the newest whose files are what the manifest says."""

import http.client
import shutil
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runctl.agent.job import LinkedFile, ResumePoint
from runctl.agent.known_files import sha256_of
from runctl.agent.run_log import Say
from runctl.agent.setup_error import SetupCancelledError, SetupError

TRIES = 3
TIMEOUT_S = 30.0
PARALLEL = 8
PIECE_BYTES = 64 * 1024 * 1024
"""What one request fetches of a large file; only _CHUNK_BYTES of it are in memory."""

_CHUNK_BYTES = 1024 * 1024
_PARTIAL_CONTENT = 206


class Links(Protocol):
    """Reads what a link points to, in chunks. Raises OSError."""

    def read(self, url: str, start: int, length: int) -> Iterator[bytes]:
        """Go through the chunks of a piece."""
        ...


class HttpLinks:
    """Short-lived links to S3. A link's signature does not cover the range that is asked for."""

    def read(self, url: str, start: int, length: int) -> Iterator[bytes]:
        """Go through the chunks of a piece."""
        request = urllib.request.Request(url, headers={"Range": f"bytes={start}-{start + length - 1}"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                if answer.status != _PARTIAL_CONTENT and start > 0:
                    raise OSError(f"status {answer.status}: the whole file came for a piece of it")
                while chunk := answer.read(_CHUNK_BYTES):
                    yield chunk
        except http.client.HTTPException as error:  # an answer that breaks off is no OSError
            raise OSError(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Resumed:
    """Where the training goes on from, and what was newer and could not be used."""

    path: Path
    point: ResumePoint
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Piece:
    """A piece of a file and where it goes."""

    file: LinkedFile
    target: Path
    start: int
    length: int


class CheckpointFetcher:
    """Fetches into a folder of the attempt's own."""

    def __init__(self, folder: Path, links: Links, say: Say, cancelled: Callable[[], bool]) -> None:
        self._folder = folder
        self._links = links
        self._say = say
        self._cancelled = cancelled

    def fetch(self, points: tuple[ResumePoint, ...]) -> Resumed | None:
        """Fetch the first point that is whole; None when there is none to fetch.

        Raises SetupError when there are points and not one is whole: to start again from nothing is for a person to
        decide.
        """
        passed_over: list[str] = []
        for point in points:
            problem = self._fetch_point(point)
            if problem is None:
                self._say(f"resuming from checkpoint {point.name}")
                return Resumed(self._folder / point.name, point, tuple(passed_over))
            passed_over.append(f"checkpoint {point.name} cannot be used: {problem}")
            self._say(passed_over[-1])
        if points:
            raise SetupError("no checkpoint of this run could be fetched whole")
        return None

    def _fetch_point(self, point: ResumePoint) -> str | None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        root = self._folder.resolve()
        for file in point.files:
            if not (root / file.path).resolve().is_relative_to(root / point.name):
                return f"{file.path} would lie outside of it"
        return fetch_linked(point.files, root, self._links, self._cancelled)


def fetch_linked(files: Sequence[LinkedFile], folder: Path, links: Links, cancelled: Callable[[], bool]) -> str | None:
    """Fetch files into a folder, side by side, and check them; answers what is wrong with one, None when all are whole.

    Raises OSError when the disk refuses, SetupCancelledError when somebody asked for the end.
    """
    return _Fetching(links, cancelled).fetch(files, folder.resolve())


class _Fetching:
    def __init__(self, links: Links, cancelled: Callable[[], bool]) -> None:
        self._links = links
        self._cancelled = cancelled

    def fetch(self, files: Sequence[LinkedFile], root: Path) -> str | None:
        targets: list[tuple[LinkedFile, Path]] = []
        for file in files:
            target = (root / file.path).resolve()
            if not target.is_relative_to(root):
                return f"{file.path} would lie outside of it"
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as made:
                made.truncate(file.bytes)  # a full disk still shows only when it is written
            targets.append((file, target))
        with ThreadPoolExecutor(PARALLEL) as pool:
            try:
                pieces = [piece for file, target in targets for piece in _pieces(file, target)]
                return next(filter(None, pool.map(self._fetch_piece, pieces)), None) or next(
                    filter(None, pool.map(_check, targets)), None
                )
            finally:
                pool.shutdown(cancel_futures=True)  # one bad piece is enough

    def _fetch_piece(self, piece: _Piece) -> str | None:
        problem = ""
        for _ in range(TRIES):
            try:
                arrived = self._write(piece)
            except OSError as error:  # the link is a secret of a kind: it is not shown
                problem = f"{piece.file.path} could not be fetched ({type(error).__name__})"
                continue
            if arrived == piece.length:
                return None
            problem = f"{piece.file.path} is damaged: {arrived} bytes came where there should be {piece.length}"
        return problem

    def _write(self, piece: _Piece) -> int:
        arrived = 0
        with piece.target.open("r+b") as file:
            file.seek(piece.start)
            for chunk in self._links.read(piece.file.url, piece.start, piece.length):
                if self._cancelled():
                    raise SetupCancelledError
                file.write(chunk)
                arrived += len(chunk)
        return arrived


def _pieces(file: LinkedFile, target: Path) -> Iterator[_Piece]:
    for start in range(0, file.bytes, PIECE_BYTES):
        yield _Piece(file, target, start, min(PIECE_BYTES, file.bytes - start))


def _check(fetched: tuple[LinkedFile, Path]) -> str | None:
    file, target = fetched
    if target.stat().st_size != file.bytes:
        return f"{file.path} is damaged: it has not {file.bytes} bytes"
    sha256 = sha256_of(target)
    return None if sha256 == file.sha256 else f"{file.path} is damaged: its hash is {sha256}, not {file.sha256}"
