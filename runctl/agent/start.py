"""The start command: claims the attempt once and leaves a supervisor behind that no command's end can take down."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from runctl.agent.layout import AttemptFolder
from runctl.agent.unit import unit_name, unit_text

READY_LIMIT_S = 60.0
"""How long the supervisor may take to read its job. The command is short: a few seconds are usual."""

CANNOT_START = 1
"""Exit code of a supervisor whose job cannot be read: the start command tells, and it is not started again."""

START_AGAIN = 70
"""Exit code of a supervisor that failed (EX_SOFTWARE of sysexits.h)."""

LOOK_S = 0.05
TAIL_BYTES = 2_000
UNITS = Path("/etc/systemd/system")
_SYSTEMD_BOOTED = Path("/run/systemd/system")  # sd_booted(3)
_PASSED_ON_PREFIXES = ("RUNCTL_", "AWS_", "UV_", "PIP_")
_PASSED_ON = frozenset({"PATH", "HOME", "LANG", "TZ", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})


class StartFailedError(Exception):
    """The supervisor did not come up; the command must fail, for nobody else can tell."""


def start(folder: AttemptFolder, run_id: str, attempt: int, program: Path) -> bool:
    """Start the supervisor unless the attempt was claimed before; says whether it was started now.

    Returns once it has read its job. Raises StartFailedError with the end of its log.
    """
    folder.create()
    try:
        os.close(os.open(folder.claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    arguments = [run_id, str(attempt)]
    is_alive = _start_unit([str(program), "supervise", *arguments], unit_name(run_id, attempt), folder.supervisor_log)
    if is_alive is None:
        is_alive = _start_session([str(program), "guard", *arguments], folder.supervisor_log)
    limit = time.monotonic() + READY_LIMIT_S
    while True:
        lives = is_alive()  # asked before the file is: one that wrote it may be gone already
        if folder.ready.exists():
            return True
        if not lives:
            folder.claim.unlink()  # the command may be sent again
        if not lives or time.monotonic() > limit:
            raise StartFailedError(_tail(folder.supervisor_log) or "the supervisor did not start")
        time.sleep(LOOK_S)


def _start_unit(command: Sequence[str], unit: str, log: Path) -> Callable[[], bool] | None:
    """Run it as a unit of its own where systemd manages the machine, which starts it again when it dies, and after a
    restart of the machine: the SSM agent's own restart ends all its children."""
    if not _SYSTEMD_BOOTED.is_dir() or shutil.which("systemctl") is None:
        return None
    environment = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    try:
        (UNITS / unit).write_text(unit_text(command, log, environment))
    except OSError:
        return None
    for words in (("daemon-reload",), ("enable", unit), ("start", unit)):
        if subprocess.run(["systemctl", "--quiet", *words], check=False, stdin=subprocess.DEVNULL).returncode != 0:
            return None
    return lambda: subprocess.run(["systemctl", "--quiet", "is-active", unit], check=False).returncode == 0


def forget(run_id: str, attempt: int) -> None:
    """Let systemd not start the supervisor of an attempt that is over when a machine that is kept starts again."""
    unit = unit_name(run_id, attempt)
    if not (UNITS / unit).exists() or shutil.which("systemctl") is None:
        return
    subprocess.run(["systemctl", "--quiet", "disable", unit], check=False, stdin=subprocess.DEVNULL)
    (UNITS / unit).unlink(missing_ok=True)


def _start_session(command: Sequence[str], log: Path) -> Callable[[], bool]:
    """Run it in a session of its own, below a guard that starts it again when it dies."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    pid = process.pid
    process.returncode = 0  # it outlives this command on purpose: Popen must not complain that nobody waited for it
    return lambda: os.waitpid(pid, os.WNOHANG) == (0, 0)


def _tail(log: Path) -> str:
    if not log.exists():
        return ""
    return log.read_bytes()[-TAIL_BYTES:].decode("utf-8", "replace").strip()
