"""Finds and ends every process of a machine, however far it has run from its parent.

A process belongs to a machine when it descends from the machine's first process, or when its environment carries
`RUNCTL_MACHINE=<instance id>`: the first finds those that cleaned their environment, the second those that were
orphaned by a double fork. Standard library only, for it runs inside the machine. Linux reads /proc; elsewhere `ps`
tells both, for the processes of one's own user.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MARKER = "RUNCTL_MACHINE"
_PROC = Path("/proc")
_SCAN_PAUSE_S = 0.02


def members(instance_id: str, first_pid: int | None = None, *, use_proc: bool | None = None) -> set[int]:
    """Process ids of a machine, without its first process and without the caller."""
    if use_proc is None:
        use_proc = (_PROC / "self" / "environ").exists()
    marker = f"{MARKER}={instance_id}"
    rows = list(_from_proc(marker) if use_proc else _from_ps(marker))
    children: dict[int, list[int]] = {}
    found = {pid for pid, _, marked in rows if marked}
    for pid, parent, _ in rows:
        children.setdefault(parent, []).append(pid)
    pending = list(found) + ([first_pid] if first_pid is not None else [])
    while pending:
        for child in children.get(pending.pop(), ()):
            if child not in found:
                found.add(child)
                pending.append(child)
    return {pid for pid in found if pid not in (os.getpid(), first_pid)}


def kill_members(
    instance_id: str, first_pid: int | None = None, *, reap: Callable[[], None] | None = None, limit_s: float = 10.0
) -> set[int]:
    """Kill every process of a machine, again and again until none is left; returns those that would not die.

    `reap` is called after each round by a caller that inherits the dead. Blocks for up to `limit_s`.
    """
    deadline = time.monotonic() + limit_s
    while True:
        left = members(instance_id, first_pid)
        if not left or time.monotonic() > deadline:
            return left
        signal_all(left, signal.SIGKILL)
        if reap is not None:
            reap()
        time.sleep(_SCAN_PAUSE_S)


def signal_all(pids: set[int], number: int) -> None:
    """Send a signal to processes; those that are gone already, or not ours, are passed over."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def _from_proc(marker: str) -> Iterator[tuple[int, int, bool]]:
    wanted = marker.encode()
    for entry in os.scandir(_PROC):
        if not entry.name.isdigit():
            continue
        try:
            stat = Path(entry.path, "stat").read_bytes()
            environ = Path(entry.path, "environ").read_bytes()
        except OSError:  # gone, or another user's
            continue
        # The name in parentheses may hold anything; state and parent follow the last parenthesis (proc(5)).
        state, parent = stat[stat.rindex(b")") + 2 :].split(None, 2)[:2]
        if state not in b"ZX":
            yield int(entry.name), int(parent), wanted in environ.split(b"\0")


def _from_ps(marker: str) -> Iterator[tuple[int, int, bool]]:
    # The environment stands behind the command; macOS's ps(1) spells that -E, others' the BSD way.
    shown = "-axEww" if sys.platform == "darwin" else "axeww"
    command = ["ps", shown, "-o", "pid=,ppid=,stat=,command="]
    output = subprocess.run(command, capture_output=True, check=False).stdout.decode("utf-8", "replace")
    for line in output.splitlines():
        fields = line.split(None, 3)
        if len(fields) >= 3 and fields[0].isdigit() and fields[2][0] not in "ZX":
            yield int(fields[0]), int(fields[1]), len(fields) == 4 and marker in fields[3].split()
