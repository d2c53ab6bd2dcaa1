"""Fetches the checkpoint to resume from: the newest whose files are what the manifest says."""

import http.client
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runctl.agent.job import LinkedFile, ResumePoint
from runctl.agent.object_store import CancelledTransferError, save_chunks
from runctl.agent.run_log import Say
from runctl.agent.setup_error import SetupCancelledError, SetupError

TRIES = 3
TIMEOUT_S = 30.0
_CHUNK_BYTES = 1024 * 1024


class Links(Protocol):
    """Reads what a link points to, in chunks. Raises OSError."""

    def read(self, url: str) -> Iterator[bytes]:
        """Go through the chunks."""
        ...


class HttpLinks:
    """Short-lived links to S3."""

    def read(self, url: str) -> Iterator[bytes]:
        """Go through the chunks."""
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
                while chunk := answer.read(_CHUNK_BYTES):
                    yield chunk
        except http.client.HTTPException as error:  # an answer that breaks off is no OSError
            raise OSError(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Resumed:
    """Where the training goes on from."""

    path: Path
    point: ResumePoint


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
        for point in points:
            problem = self._fetch_point(point)
            if problem is None:
                self._say(f"resuming from checkpoint {point.name}")
                return Resumed(self._folder / point.name, point)
            self._say(f"checkpoint {point.name} cannot be used: {problem}")
        if points:
            raise SetupError("no checkpoint of this run could be fetched whole")
        return None

    def _fetch_point(self, point: ResumePoint) -> str | None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        root = self._folder.resolve()
        for file in point.files:
            target = (root / file.path).resolve()
            if not target.is_relative_to(root / point.name):
                return f"{file.path} would lie outside of it"
            target.parent.mkdir(parents=True, exist_ok=True)
            problem = self._fetch_file(file, target)
            if problem is not None:
                return problem
        return None

    def _fetch_file(self, file: LinkedFile, target: Path) -> str | None:
        problem = ""
        for _ in range(TRIES):
            try:
                sha256 = save_chunks(self._links.read(file.url), target, self._cancelled)
            except CancelledTransferError as error:
                raise SetupCancelledError from error
            except OSError as error:  # the link is a secret of a kind: it is not shown
                problem = f"{file.path} could not be fetched ({type(error).__name__})"
                continue
            if sha256 == file.sha256:
                return None
            problem = f"{file.path} is damaged: its hash is {sha256}, not {file.sha256}"
        return problem
