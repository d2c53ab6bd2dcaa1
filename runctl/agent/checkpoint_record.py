"""What the uploader knows, on disk: an agent that is started again goes on where the one before was."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from runctl.agent.checkpoint_folder import FileMark
from runctl.agent.checkpoint_keeping import StoredFile, Uploaded
from runctl.agent.state_file import read_document, write_document


@dataclass(frozen=True)
class Record:
    """The state of an attempt's uploads."""

    uploads: int = 0
    """How many were begun: the number stands in their keys, so that no key is written twice."""
    kept: tuple[Uploaded, ...] = ()
    unfinished: tuple[str, ...] = ()
    """Keys of an upload that has begun and that no manifest names yet."""


class RecordFile:
    """The record in a file that is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Record:
        """Read it; an empty one where there is none."""
        document = read_document(self._path)
        if document is None:
            return Record()
        return Record(
            document["uploads"], tuple(_uploaded(one) for one in document["kept"]), tuple(document["unfinished"])
        )

    def write(self, record: Record) -> None:
        """Replace it. Raises OSError, of a full disk for one."""
        write_document(self._path, asdict(record), durably=True)


def _uploaded(document: dict[str, Any]) -> Uploaded:
    found = Uploaded(**document)
    return replace(
        found,
        files=tuple(StoredFile(**file) for file in document["files"]),
        marks=tuple(FileMark(**mark) for mark in document["marks"]),
    )
