"""What a supervisor that was killed left running while it made a training ready; it is begun anew."""

import os
import shutil
import time
from pathlib import Path

from runctl.agent import container
from runctl.agent.keeper import KILL_LIMIT_S, kill_all
from runctl.agent.layout import AttemptFolder

MARKER = "RUNCTL_ATTEMPT_FOLDER"
"""Set in the environment of all that the supervisor starts, and so in that of all which those start."""

_PAUSE_S = 0.02
_PROC = Path("/proc")


def mark(folder: AttemptFolder) -> None:
    """Let everything that this process starts from now on be known as this attempt's. The process itself is not: the
    kernel shows the environment that it was started with."""
    os.environ[MARKER] = str(folder.path)


def end_leftovers(folder: AttemptFolder) -> None:
    """Kill what is left, and remove what was only half made."""
    limit = time.monotonic() + KILL_LIMIT_S
    while (left := _marked(f"{MARKER}={folder.path}".encode())) and time.monotonic() < limit:
        kill_all(left)
        time.sleep(_PAUSE_S)
    container.remove(folder.container)
    for half_made in (folder.code, folder.environment, folder.packages, folder.resume):
        shutil.rmtree(half_made, ignore_errors=True)


def _marked(marker: bytes) -> set[int]:
    found: set[int] = set()
    for entry in os.scandir(_PROC) if _PROC.is_dir() else ():
        if not entry.name.isdigit():
            continue
        try:
            environment = Path(entry.path, "environ").read_bytes()
        except OSError:  # gone, or another user's
            continue
        if marker in environment.split(b"\0"):  # a dead one's is empty
            found.add(int(entry.name))
    return found - {os.getpid()}
