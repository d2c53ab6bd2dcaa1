"""The training as the supervisor sees it: kept by a process of its own (`keeper`), found again after a restart."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from runctl.agent import container, keeper
from runctl.agent.keeper import ENDED, LOCK, STARTED, boot_id, descendants, kill_all, start_ticks
from runctl.agent.layout import AttemptFolder
from runctl.agent.preparation import Prepared
from runctl.agent.run_log import RunLog

SIGNALS_BASE = 128
"""A shell shows a process that a signal ended as 128 and the signal's number."""

START_LIMIT_S = 30.0
"""How long the keeper may take to start the training; some hundredths of a second are usual."""

_LOOK_S = 0.01
_KEEPER_LOOK_S = 1.0


@dataclass(frozen=True)
class Exit:
    """How a process ended: one of both is set, or none where nobody knows."""

    code: int | None = None
    signal: int | None = None
    peak_kib: int | None = None
    """The most memory that the largest of its processes used."""

    @property
    def shell_code(self) -> int:
        """As a shell shows it."""
        return self.code if self.code is not None else SIGNALS_BASE + (self.signal or 0)

    @property
    def is_known(self) -> bool:
        """Whether somebody knows."""
        return self.code is not None or self.signal is not None


class Training(Protocol):
    """A training that was started."""

    @property
    def begun_at(self) -> float:
        """When it was started, in seconds of the monotonic clock of its boot."""
        ...

    @property
    def boot_id(self) -> str:
        """The boot of the machine in which it was started."""
        ...

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
        """Kill the process and everything that it started."""
        ...


class Trainings(Protocol):
    """Starts the training of an attempt, and finds it again."""

    def start(self, prepared: Prepared, folder: AttemptFolder, log: RunLog) -> Training:
        """Start it. Raises OSError when there is no such command."""
        ...

    def find(self, folder: AttemptFolder) -> Training | None:
        """Find the one that was started before, whether it runs or not; None when there is none."""
        ...


class KeptTrainings:
    """The real ones."""

    def start(self, prepared: Prepared, folder: AttemptFolder, log: RunLog) -> "KeptTraining":
        """Start it, or find the one that was started before."""
        command = [sys.executable, "-I", "-S", keeper.__file__, str(folder.path), *prepared.command]
        with log.open() as out:
            subprocess.run(
                command,
                cwd=folder.code,
                env=prepared.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                check=True,
            )
        limit = time.monotonic() + START_LIMIT_S
        while (training := self.find(folder)) is None:
            if time.monotonic() > limit:
                raise OSError("the training's keeper did not start it")
            time.sleep(_LOOK_S)
        return training

    def find(self, folder: AttemptFolder) -> "KeptTraining | None":
        """Read what its keeper wrote. Raises OSError with what the system said when it could not be executed."""
        found = _read(folder.path / STARTED)
        limit = time.monotonic() + START_LIMIT_S
        while found is None and is_locked(folder.path / LOCK) and time.monotonic() < limit:
            time.sleep(_LOOK_S)  # a keeper is about to start it
            found = _read(folder.path / STARTED)
        if found is None:
            return None
        if found["problem"] is not None:
            number, text, name = found["problem"]
            raise OSError(number, text, name)
        return KeptTraining(folder.path, found)


class KeptTraining:
    """The real one."""

    def __init__(self, folder: Path, who: dict[str, Any]) -> None:
        self._folder = folder
        self._keeper: int = who["keeper"]
        self._ticks: int | None = who["start_ticks"]
        self._keeper_asked_at = time.monotonic()
        self.pid: int = who["pid"]
        self.begun_at: float = who["begun_at"]
        self.boot_id: str = who["boot_id"]

    def poll(self) -> Exit | None:
        """How it ended; None while it runs."""
        ended = self._ended()
        if ended is not None or time.monotonic() - self._keeper_asked_at < _KEEPER_LOOK_S:
            return ended
        self._keeper_asked_at = time.monotonic()
        if self.boot_id == boot_id() and (is_locked(self._folder / LOCK) or self._is_alive()):
            return None
        return self._ended() or Exit()  # the keeper was killed, or the machine rebooted

    def hears(self, number: signal.Signals) -> bool:
        """Whether it has a handler: the kernel's list of caught signals (proc(5), SigCgt). Elsewhere: no."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return False
        return catches(status, number)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself."""
        if self._ended() is None and self._is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the training with all that it started. What it left behind when it ended, the keeper kills; a container
        is another's child."""
        container.remove(self._folder / "container.json")
        if self._ended() is not None or self.boot_id != boot_id():
            return
        if is_locked(self._folder / LOCK):
            kill_all(descendants(self._keeper))
        if self._is_alive():
            kill_all({self.pid, *descendants(self.pid)})
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _is_alive(self) -> bool:
        if self._ticks is not None:
            return start_ticks(self.pid) == self._ticks
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _ended(self) -> Exit | None:
        found = _read(self._folder / ENDED)
        if found is None:
            return None
        code, peak_kib = found["exit_code"], found["peak_kib"]
        return Exit(code=code, peak_kib=peak_kib) if code >= 0 else Exit(signal=-code, peak_kib=peak_kib)


def is_locked(path: Path) -> bool:
    """Whether somebody holds a lock: the kernel lets it go when its holder dies, by whatever death."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def catches(status: str, number: signal.Signals) -> bool:
    """Read from /proc/<pid>/status whether a signal has a handler."""
    for line in status.splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False
