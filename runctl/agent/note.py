"""What one part of the supervisor must know again when it is started again: a small file of its own, replaced whole."""

from pathlib import Path
from typing import Any

from runctl.agent.run_log import Say
from runctl.agent.state_file import read_document, write_document


class Note:
    """One JSON document. A disk that refuses it (it is full) does not stop anybody: it is told once and tried again."""

    def __init__(self, path: Path, say: Say) -> None:
        self._path = path
        self._say = say
        self._is_refused = False

    def read(self) -> dict[str, Any] | None:
        """Read what was written last; None when nothing was, or when it cannot be read."""
        try:
            return read_document(self._path)
        except (OSError, ValueError) as error:
            self._say(f"what the agent noted in {self._path.name} cannot be read: {error}")
            return None

    def write(self, document: dict[str, Any]) -> None:
        """Write it so that a reader finds the old one or the new one."""
        try:
            self._path.parent.mkdir(exist_ok=True)
            write_document(self._path, document)
        except OSError as error:
            if not self._is_refused:
                self._say(f"the agent could not write {self._path.name}: {error}")
            self._is_refused = True
        else:
            self._is_refused = False
