"""Whether the kernel killed something for want of memory: its own counts, read before and after the training."""

from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_VMSTAT = Path("/proc/vmstat")


def kills() -> int | None:
    """Count the kernel's out-of-memory kills so far; None where the kernel does not tell.

    The count of our own control group where there is one (kernel's cgroup-v2 guide, `memory.events`), for it counts
    the group's limit too, else the machine's (`oom_kill` in /proc/vmstat): the training has the machine to itself.
    """
    try:
        own = _OWN_CGROUP.read_text()
    except OSError:
        own = ""
    for line in own.splitlines():
        if line.startswith("0::"):
            found = _count(_CGROUPS / line[3:].strip().lstrip("/") / "memory.events")
            if found is not None:
                return found
    return _count(_VMSTAT)


def _count(file: Path) -> int | None:
    try:
        text = file.read_text()
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return None
