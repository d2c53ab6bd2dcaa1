"""The start command: claims the attempt once and leaves a supervisor behind that no command's end can take down."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from runctl.agent.layout import AttemptFolder

READY_LIMIT_S = 60.0
"""How long the supervisor may take to read its job. The command is short: a few seconds are usual."""

LOOK_S = 0.05
TAIL_BYTES = 2_000
_SYSTEMD_BOOTED = Path("/run/systemd/system")  # sd_booted(3)
STOP_LIMIT_S = 330
"""How long the supervisor may take to end at a shutdown: `runctl.model.timing.SAVE_LIMIT`, and the report after it."""

_PROMISES = (
    # At a shutdown the supervisor alone is told, and tells the training. Units stop in the reverse of the order in
    # which they start (systemd.unit(5)): the network must be there for as long as something is saved, which takes
    # longer than systemd's own 90 s. EC2 waits "a few minutes" (EC2 User Guide, "Terminate Amazon EC2 instances").
    "KillMode=mixed",
    "After=network.target",
    f"TimeoutStopSec={STOP_LIMIT_S}",
    # When the kernel kills the training for want of memory, the supervisor must live to tell.
    "OOMPolicy=continue",
    # A supervisor that was killed takes its training along and has told nobody: the end of the machine, which EC2
    # tells, is faster than a missed heartbeat, and cheaper. One that cannot read its job exits with 1, which the
    # start command tells.
    "FailureAction=poweroff",
    "SuccessExitStatus=1",
)
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
    command = [str(program), "supervise", run_id, str(attempt)]
    is_alive = _start_unit(command, f"runctl-{run_id}-{attempt}", folder.supervisor_log) or _start_session(
        command, folder.supervisor_log
    )
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
    """Run it as a unit of its own where systemd manages the machine: the SSM agent's restart ends all its children."""
    if not _SYSTEMD_BOOTED.is_dir() or shutil.which("systemd-run") is None:
        return None
    environment = [
        f"--setenv={name}={value}"
        for name, value in os.environ.items()
        if name.upper() in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    ]
    properties = [f"--property=StandardOutput=append:{log}", f"--property=StandardError=append:{log}"]
    properties += [f"--property={one}" for one in _PROMISES]
    asked = subprocess.run(
        ["systemd-run", "--quiet", "--collect", f"--unit={unit}", *environment, *properties, *command],
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if asked.returncode != 0:
        return None
    return lambda: subprocess.run(["systemctl", "--quiet", "is-active", unit], check=False).returncode == 0


def _start_session(command: Sequence[str], log: Path) -> Callable[[], bool]:
    """Run it in a session of its own."""
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
