"""Keeps one training: starts it, outlives the supervisor, and writes down how it ended.

A program of its own, run as a file with nothing but the standard library, so that whatever befalls the supervisor stops
neither the training nor loses its exit code. It is the parent of the training and adopts its orphans (Linux: child
subreaper), so that every process the training started, in whatever session, can be found and ended with it.

`keeper.py FOLDER COMMAND…`, in the training's working directory, with its environment, its output already in place. One
keeper an attempt: it holds a lock on `keeper.lock`, and a second one leaves without a word. It writes `training.json`
(who the training is) once it runs, `training_exit_code.txt` and `training_ended.json` (how it ended) at its end; the
room on the disk is taken before the start, so that a full disk does not lose an exit code.
"""

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

LOCK = "keeper.lock"
STARTED = "training.json"
ENDED = "training_ended.json"
EXIT_CODE = "training_exit_code.txt"

ROOM_BYTES = 4_096
"""Taken on the disk for each file that is written at the end: one block."""

KILL_LIMIT_S = 10.0
"""How long the rest of a training is killed again and again: a process in the kernel's hands may not die at once."""

RETRY_S = 1.0
_LOCK_LIMIT_S = 1.0
_PAUSE_S = 0.02
_SIGNALS_BASE = 128
_PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_PASSED_OVER = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def boot_id() -> str:
    """Which boot of the machine this is (random(4)); empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """When a process started, in the kernel's ticks: with its id it names one process of a boot. None where there is
    no such process, or it is dead and only waited for, or the system does not tell."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def descendants(pid: int) -> set[int]:
    """All processes below one, in whatever session or group."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir(_PROC) if _PROC.is_dir() else ():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None and fields[0] not in "ZX":
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: set[int] = set()
    pending = [pid]
    while pending:
        for child in children.get(pending.pop(), ()):
            if child not in found:
                found.add(child)
                pending.append(child)
    return found


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/<pid>/stat from the state on: the name before it, in parentheses, may hold anything (proc(5))."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def kill_all(pids: set[int]) -> None:
    """Kill processes; those that are gone already are passed over."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


class Reserved:
    """A file that appears under its name when its content is known, and whose room on the disk is taken before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new = path.with_name(path.name + ".reserved")
        self._file = os.open(self._new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        with contextlib.suppress(OSError):  # the disk is full already: at the end it is tried again and again
            os.write(self._file, b" " * ROOM_BYTES)
            os.fsync(self._file)

    def write(self, text: str) -> None:
        """Write it and show it. Raises OSError."""
        content = text.encode()
        os.pwrite(self._file, content, 0)
        os.ftruncate(self._file, len(content))
        os.fsync(self._file)
        self._new.replace(self._path)


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _become(command: list[str], problem: int) -> NoReturn:
    """Be the training: a session of its own, signals as a shell leaves them, and fair game for the kernel's memory
    killer, from which the agent is kept."""
    try:
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGXFSZ, *_PASSED_OVER):
            signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("0")
        os.execvpe(command[0], command, os.environ)
    except OSError as error:
        os.write(problem, json.dumps([error.errno, error.strerror, error.filename or command[0]]).encode())
    finally:
        os._exit(127)


def _start(command: list[str]) -> tuple[int, list[object] | None]:
    """Start the training; answers its process id and, when it could not be executed, what the system said."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(command, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    return pid, json.loads(said) if said else None


def _wait_for(pid: int) -> tuple[int, int]:
    """Wait for the training, burying its orphans meanwhile; answers its exit code as Python writes it and the peak of
    its memory in KiB."""
    while True:
        try:
            dead, status, usage = os.wait4(-1, 0)
        except InterruptedError:
            continue
        if dead == pid:
            peak = usage.ru_maxrss if sys.platform == "linux" else usage.ru_maxrss // 1024
            return os.waitstatus_to_exitcode(status), peak


def _end_the_rest(group: int) -> None:
    """Kill whatever the training left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    limit = time.monotonic() + KILL_LIMIT_S
    while (left := descendants(os.getpid())) and time.monotonic() < limit:
        kill_all(left)
        _bury()
        time.sleep(_PAUSE_S)
    _bury()


def _bury() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _insist(reserved: Reserved, text: str) -> None:
    while True:
        try:
            reserved.write(text)
            return
        except OSError:
            time.sleep(RETRY_S)


def keep(folder: Path, command: list[str]) -> None:
    """Keep the training from its start to its end."""
    lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    if not _take(lock) or (folder / STARTED).exists():
        return
    for number in _PASSED_OVER:
        # Not SIG_IGN, which the training would inherit. A shutdown tells everybody; the supervisor tells the training.
        signal.signal(number, _pass_over)
    _adopt_orphans()
    started, code, ended = (Reserved(folder / name) for name in (STARTED, EXIT_CODE, ENDED))
    begun_at = time.monotonic()
    pid, problem = _start(command)
    who = {
        "keeper": os.getpid(),
        "pid": pid,
        "start_ticks": start_ticks(pid),
        "boot_id": boot_id(),
        "begun_at": begun_at,
        "problem": problem,
    }
    _insist(started, json.dumps(who) + "\n")
    exit_code, peak_kib = _wait_for(pid)
    ended_at = time.monotonic()
    _end_the_rest(pid)
    if problem is not None:
        return
    _insist(code, f"{exit_code if exit_code >= 0 else _SIGNALS_BASE - exit_code}\n")
    how = {"exit_code": exit_code, "peak_kib": peak_kib, "ended_at": ended_at, **who}
    _insist(ended, json.dumps(how) + "\n")


def _take(lock: int) -> bool:
    """Take the lock; who only looks whether it is held holds it for a moment."""
    limit = time.monotonic() + _LOCK_LIMIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > limit:
                return False
            time.sleep(_PAUSE_S)
        else:
            return True


def _pass_over(_number: int, _frame: object) -> None:
    """Nothing: a signal that is not for the keeper."""


def main(arguments: list[str]) -> None:
    """Leave whoever started us at once, so that nobody waits for us or is asked to bury us."""
    if os.fork():
        os._exit(0)
    keep(Path(arguments[0]), arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
