"""Starts the server's process apart from this one, and ends it with everything below it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import psutil

from runctl.local.errors import LocalCloudError, ServerDidNotStart
from runctl.local.record import CloudRecord, StartRequest, last_port

_SERVER_MODULE: Final = "runctl.local.emulator"
LOG_FILE: Final = "server.log"

_START_LIMIT_S: Final = 60.0
_END_LIMIT_S: Final = 20.0
"""Longer than the servers' own end takes: machines get a second of grace, and then SIGKILL."""

_CHILDREN_END_LIMIT_S: Final = 2.0
"""After the server's end: each child ends by itself when it sees it."""

_LOOK_EVERY_S: Final = 0.01
_LOCK_LIMIT_S: Final = 180.0
_LOG_TAIL: Final = 15
_PASSED_ON: Final = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "PYTHONPATH", "SHELL", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV"}
    | {
        "RUNCTL_LOCAL_SMTP",
        "RUNCTL_LOCAL_COLD_CACHES",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    }
    | {"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"}
)
_PASSED_ON_PREFIXES: Final = ("LC_", "LD_", "DYLD_", "PIP_", "UV_")
"""What the server, and the machines below it, have of a person's environment. Credentials of a real account must never
get there, and ministack reads dozens of variables, some with names as plain as AUTH."""

_MEMORY: Final = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""glibc keeps up to eight arenas a core; the server has many threads that allocate little (mallopt(3))."""


@contextmanager
def only_one(state_dir: Path) -> Generator[None]:
    """Hold the folder's lock: two `up` or `down` at once take turns. Raises `LocalCloudError` after three minutes."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "lock").open("w") as lock:
        deadline = time.monotonic() + _LOCK_LIMIT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LocalCloudError(
                        f"Another command has been working on {state_dir} for minutes.", hint="Wait for it, or end it."
                    ) from None
                time.sleep(0.1)
        yield


def start(state_dir: Path, *, port: int, boot_delay_s: float) -> CloudRecord:
    """Start a server and wait until it answers. Raises `ServerDidNotStart` with what it said."""
    log_path = state_dir / LOG_FILE
    if log_path.exists():
        log_path.replace(log_path.with_suffix(".log.1"))
    ready_fd, told_fd = os.pipe()
    request = StartRequest(str(state_dir), port, last_port(state_dir), boot_delay_s, told_fd)
    try:
        with log_path.open("ab") as log:
            # -P: the folder from which a person starts must not be searched for modules.
            starter = subprocess.Popen(
                [sys.executable, "-P", "-m", _SERVER_MODULE, request.text()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=state_dir,
                env=_environment(),
                pass_fds=[told_fd],
                start_new_session=True,
            )
        os.close(told_fd)
        starter.wait()
        said = _read_document(ready_fd)
    finally:
        os.close(ready_fd)
    if "error" in said:
        raise ServerDidNotStart(said["error"], hint=said.get("hint", ""))
    if not said:
        raise ServerDidNotStart(f"The server did not start:\n{_tail(log_path)}", hint=f"Its log is {log_path}.")
    return CloudRecord(**said)


def end(process: psutil.Process) -> None:
    """End a server and its whole tree: ask first, then kill what is left."""
    tree = _descendants(process)
    process.terminate()
    if _alive_after([process], _END_LIMIT_S):
        tree += [process, *_descendants(process)]  # what was started meanwhile
    for each in _alive_after(tree, _CHILDREN_END_LIMIT_S):
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    _alive_after(tree, _END_LIMIT_S)


def resident_mib(process: psutil.Process) -> float:
    """Memory of a server and its whole tree in MiB; where Linux tells, pages that processes share are counted once."""
    total = 0
    for each in [process, *_descendants(process)]:
        try:
            # On Linux, the proportional set size divides shared pages among those that share them.
            memory = each.memory_full_info()
            total += getattr(memory, "pss", memory.rss)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / 2**20


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _alive_after(processes: list[psutil.Process], limit_s: float) -> list[psutil.Process]:
    """Wait for the end of processes; return those that still live after `limit_s`.

    A dead process that its parent has not collected is gone: the parent may be a container's first process, which
    never does.
    """
    deadline = time.monotonic() + limit_s
    while (alive := [each for each in processes if _lives(each)]) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _environment() -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    return {**kept, **_MEMORY}


def _read_document(ready_fd: int) -> dict[str, Any]:
    """What the server told; empty when its end of the pipe closed before. Raises `ServerDidNotStart` after a minute."""
    told = b""
    deadline = time.monotonic() + _START_LIMIT_S
    while True:
        if not select.select([ready_fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise ServerDidNotStart(f"The server did not answer within {_START_LIMIT_S:.0f} s.")
        chunk = os.read(ready_fd, 65_536)
        if not chunk:
            return cast("dict[str, Any]", json.loads(told)) if told else {}
        told += chunk


def _tail(log_path: Path) -> str:
    return "\n".join(log_path.read_text(errors="replace").splitlines()[-_LOG_TAIL:])
