"""Requests that `stop` and `notice` leave in the attempt's folder for its supervisor, which looks a few times a second.

A file outlives whoever wrote it and is there before the supervisor is: a stop that comes first is found.
"""

from enum import StrEnum
from pathlib import Path


class Request(StrEnum):
    """File names."""

    STOP = "stop"
    STOP_NOW = "stop-now"
    NOTICE = "notice"


def leave(folder: Path, request: Request) -> None:
    """Leave a request; one that is there already stays as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / request.value).touch()


def found(folder: Path) -> frozenset[Request]:
    """Look for requests."""
    return frozenset(request for request in Request if (folder / request.value).exists())
