"""The training: one process in its own session and process group, its output in the log."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runctl.agent.run_log import RunLog

SIGNALS_BASE = 128
"""A shell shows a process that a signal ended as 128 and the signal's number."""


@dataclass(frozen=True)
class Exit:
    """How a process ended: one of both is set."""

    code: int | None = None
    signal: int | None = None

    @property
    def shell_code(self) -> int:
        """As a shell shows it."""
        return self.code if self.code is not None else SIGNALS_BASE + (self.signal or 0)


class Training(Protocol):
    """A training that was started."""

    def poll(self) -> Exit | None:
        """How it ended; None while it runs."""
        ...

    def hears(self, number: signal.Signals) -> bool:
        """Whether it has a handler for a signal now."""
        ...

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself: what it started is its own to tell."""
        ...

    def kill(self) -> None:
        """Kill the process and everything in its group."""
        ...


class TrainingProcess:
    """The real one."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], log: RunLog) -> None:
        """Start it. Raises OSError when there is no such command."""
        with log.open() as out:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process, and its group."""
        return self._process.pid

    def poll(self) -> Exit | None:
        """How it ended; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        return Exit(code=code) if code >= 0 else Exit(signal=-code)

    def hears(self, number: signal.Signals) -> bool:
        """Whether it has a handler: the kernel's list of caught signals (proc(5), SigCgt). Elsewhere: no."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return False
        return catches(status, number)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the group, with what the training left behind in it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def catches(status: str, number: signal.Signals) -> bool:
    """Read from /proc/<pid>/status whether a signal has a handler."""
    for line in status.splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False
