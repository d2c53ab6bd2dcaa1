"""The emulator's end of a nursery: one process for each code archive, which forks its execution environments."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, cast

_SCRIPT: Final = Path(__file__).with_name("nursery_process.py")

PRELOADED: Final = ("boto3", "pydantic", "aws_lambda_powertools")
"""Imported once before forking. They are slow to import, are what handlers are made of, and start no thread."""


_KEPT_ARCHIVES: Final = 3
_END_LIMIT_S: Final = 2.0
"""A nursery ends its environments when its control socket closes, and then itself: at once, but for its imports."""


class EnvironmentProcess:
    """One forked environment. Has what ministack asks of a process: `poll`, `terminate`, `wait`, `kill`."""

    def __init__(self, nursery: Nursery, pid: int, connection: Connection, log_fd: int) -> None:
        self.pid = pid
        self.connection = connection
        self.log_fd = log_fd
        self._nursery = nursery
        self._ended = False

    def poll(self) -> int | None:
        """None while the environment lives. It never speaks unasked, so that something to read is its end."""
        if not self._ended and self.connection.poll():
            self.terminate()
        return 0 if self._ended else None

    def terminate(self) -> None:
        """End the environment at once: Lambda gives no notice either."""
        if self._ended:
            return
        self._ended = True
        self._nursery.kill(self.pid)
        self.connection.close()
        os.close(self.log_fd)

    kill = terminate

    def wait(self, timeout: float | None = None) -> int:
        """Nothing to wait for, however long one would: the nursery collects its children."""
        del timeout
        return 0


class Nursery:
    """The process that forks the environments of one code archive; started at the first request."""

    def __init__(self, code_dir: Path) -> None:
        self.code_dir = code_dir
        self.last_used = time.time()
        self._lock = threading.Lock()
        self._is_closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def fork(self, init: dict[str, Any]) -> EnvironmentProcess:
        """A new environment that was told `init`; it answers on its connection when it is ready.

        Raises `ConnectionAbortedError` when the nursery was closed.
        """
        ours, theirs = cast("tuple[Connection, Connection]", Pipe())
        log_read, log_write = os.pipe()
        try:
            with self._lock:
                if self._is_closed:
                    raise ConnectionAbortedError("The local cloud ends: there are no more invocations.")
                self.last_used = time.time()
                control = self._start()
                socket.send_fds(control, [b'{"fork": true}\n'], [theirs.fileno(), log_write])
                pid = int(_line(control))
        finally:
            theirs.close()
            os.close(log_write)
        ours.send_bytes(json.dumps(init).encode())
        return EnvironmentProcess(self, pid, ours, log_read)

    def kill(self, pid: int) -> None:
        """End one environment. The nursery does it, because only it knows whether the number is still its child's."""
        with self._lock:
            if self._control is None:
                return
            try:
                self._control.sendall(json.dumps({"kill": pid}).encode() + b"\n")
                _line(self._control)
            except OSError:
                self._stop()

    def stop(self) -> None:
        """End the nursery and its environments. The next request starts it again."""
        with self._lock:
            self._stop()

    def close(self) -> None:
        """End the nursery and its environments for good."""
        with self._lock:
            self._is_closed = True
            self._stop()

    def _start(self) -> socket.socket:
        if self._process is not None and self._process.poll() is None and self._control is not None:
            return self._control
        self._stop()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(_SCRIPT), str(theirs.fileno()), str(self.code_dir), *PRELOADED],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._control = ours
        return ours

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_LIMIT_S)
            self._process.kill()
            self._process.wait()
        self._control = self._process = None


class Nurseries:
    """The nurseries of all code archives, and the folders in which those are unpacked."""

    def __init__(self, functions_dir: Path) -> None:
        self._functions_dir = functions_dir
        self._lock = threading.Lock()
        self._nurseries: dict[str, Nursery] = {}
        _forget_old(functions_dir)

    def of(self, code_zip: bytes) -> Nursery:
        """The nursery of a code archive, which is unpacked once."""
        name = hashlib.sha256(code_zip).hexdigest()[:16]
        with self._lock:
            if name not in self._nurseries:
                self._nurseries[name] = Nursery(_unpacked(code_zip, self._functions_dir / name))
            return self._nurseries[name]

    def end_idle(self, oldest: float, in_use: set[Path]) -> None:
        """End the nurseries that forked nothing since `oldest` and have no environment (by code folder) left."""
        with self._lock:
            idle = [n for n in self._nurseries.values() if n.last_used < oldest and n.code_dir not in in_use]
        for nursery in idle:
            nursery.stop()

    def close(self) -> None:
        """End all of them for good, and with them the invocations under way."""
        with self._lock:
            nurseries = list(self._nurseries.values())
        for nursery in nurseries:
            nursery.close()


def _forget_old(functions_dir: Path) -> None:
    """Remove all unpacked archives but the newest: only an unchanged deployment uses one of an earlier server."""
    folders = sorted(functions_dir.glob("*"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in folders[_KEPT_ARCHIVES:]:
        shutil.rmtree(folder, ignore_errors=True)


def _unpacked(code_zip: bytes, target: Path) -> Path:
    """The folder of the archive's files. A folder of that name is whole: it is renamed into place."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as work:
            with zipfile.ZipFile(io.BytesIO(code_zip)) as archive:
                archive.extractall(work)
            staged = target.with_name(f"{target.name}.{os.getpid()}")
            shutil.copytree(work, staged)
            staged.rename(target)
    return target


def _line(control: socket.socket) -> bytes:
    """One short line from the nursery. Raises `OSError` when it is gone."""
    answer = control.recv(64)
    if not answer:
        raise ConnectionResetError("The process that forks execution environments is gone.")
    return answer
