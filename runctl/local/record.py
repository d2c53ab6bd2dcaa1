"""What is known of a local cloud's server: how it was asked to start, and `cloud.json` while it runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

_FILE: Final = "cloud.json"
_PORT_FILE: Final = "last-port"

_CLOCK_TOLERANCE_S: Final = 1.0
"""Start times are computed from the boot time on Linux, which is corrected with the clock."""


@dataclass(frozen=True)
class StartRequest:
    """What the server's process is started with."""

    state_dir: str
    port: int
    """0: a free one, `preferred_port` if that is free."""
    preferred_port: int
    boot_delay_s: float
    ready_fd: int
    """Descriptor of the pipe on which the server answers once."""

    def text(self) -> str:
        """The one argument of the process."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> StartRequest:
        """Read the argument."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class CloudRecord:
    """A server that answers. Process id and start time together name a process for ever; an id alone is used again."""

    pid: int
    started_at: float
    """Seconds since the epoch, as the operating system tells it."""
    port: int
    boot_delay_s: float

    @property
    def endpoint_url(self) -> str:
        """The one address of all services."""
        return f"http://127.0.0.1:{self.port}"

    def process(self) -> psutil.Process | None:
        """The server's process, or None when it has ended."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started_at) < _CLOCK_TOLERANCE_S
            return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def save(self, state_dir: Path) -> None:
        """Write the record, whole or not at all."""
        partial = state_dir / f"{_FILE}.partial"
        partial.write_text(json.dumps(asdict(self)))
        partial.replace(state_dir / _FILE)
        (state_dir / _PORT_FILE).write_text(str(self.port))

    def is_current(self, state_dir: Path) -> bool:
        """Whether this server is the one that the folder names."""
        return CloudRecord.load(state_dir) == self

    @staticmethod
    def load(state_dir: Path) -> CloudRecord | None:
        """The record of the last server that did not remove it, or None. It may have been killed since."""
        try:
            return CloudRecord(**json.loads((state_dir / _FILE).read_text()))
        except FileNotFoundError:
            return None

    @staticmethod
    def remove(state_dir: Path) -> None:
        """Forget the server."""
        (state_dir / _FILE).unlink(missing_ok=True)


def last_port(state_dir: Path) -> int:
    """The port of the last server, so that addresses exported to a shell stay right; 0 when there was none."""
    try:
        return int((state_dir / _PORT_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return 0
