"""Whether the kernel killed something for want of memory, and the figures that say why."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_VMSTAT = Path("/proc/vmstat")
_MEMINFO = Path("/proc/meminfo")
_KERNEL_LOG = Path("/dev/kmsg")
_RECORD_BYTES = 8_192
"""The kernel gives one record a read, of less than this (kernel's ABI, `dev-kmsg`)."""

_KILLED = re.compile(r"[Oo]ut of memory: Killed process (\d+) \((.*?)\)(?:.*?anon-rss:(\d+)kB)?")


@dataclass(frozen=True)
class Kill:
    """A line of the kernel's log about one killed process."""

    at_s: float
    """Seconds since the machine's start: the monotonic clock."""
    pid: int
    name: str
    held_kib: int | None


@dataclass(frozen=True)
class Memory:
    """What is known of the machine's memory and of what was done for want of it. None where nobody tells."""

    kills: tuple[Kill, ...] = ()
    peak_kib: int | None = None
    """The most that the control group of the training and its supervisor used."""
    limit_kib: int | None = None
    """The control group's limit, or the machine's memory."""


def kills() -> int | None:
    """Count the kernel's out-of-memory kills so far; None where the kernel does not tell.

    The count of our own control group where there is one (kernel's cgroup-v2 guide, `memory.events`), for it counts
    the group's limit too, else the machine's (`oom_kill` in /proc/vmstat): the training has the machine to itself.
    """
    group = _own_group()
    found = _count(group / "memory.events") if group is not None else None
    return _count(_VMSTAT) if found is None else found


def machine_kills() -> int | None:
    """Count those of the whole machine: a container has a control group of its own."""
    return _count(_VMSTAT)


def memory(since_s: float) -> Memory:
    """Gather the figures; kills since a moment of the monotonic clock."""
    group = _own_group()
    found = tuple(kill for kill in killed(kernel_lines(_KERNEL_LOG)) if kill.at_s >= since_s)
    if group is None:
        return Memory(found, limit_kib=_total_kib())
    peak, limit = _bytes(group / "memory.peak"), _bytes(group / "memory.max")
    return Memory(found, _kib(peak), _kib(limit) or _total_kib())


def killed(lines: Iterable[str]) -> Iterator[Kill]:
    """Read `<priority>,<number>,<microseconds>,<flags>;<text>` (kernel's ABI, `dev-kmsg`)."""
    for line in lines:
        head, _, text = line.partition(";")
        found = _KILLED.search(text)
        fields = head.split(",")
        if found is not None and len(fields) > 2 and fields[2].isdigit():
            held = int(found[3]) if found[3] else None
            yield Kill(int(fields[2]) / 1e6, int(found[1]), found[2], held)


def kernel_lines(log: Path) -> Iterator[str]:
    """Go through the kernel's log; nothing where we may not read it."""
    try:
        file = os.open(log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        while True:
            try:
                record = os.read(file, _RECORD_BYTES)
            except BrokenPipeError:  # overwritten meanwhile; the next read goes on with what is there
                continue
            if not record:
                return
            yield record.decode("utf-8", "replace")
    except OSError:  # BlockingIOError: there is no more
        return
    finally:
        os.close(file)


def sentence(found: Memory, peak_kib: int | None) -> str:
    """Say what the kernel did and how much memory there was; `peak_kib` is of the largest single process."""
    words: list[str] = []
    if found.kills:
        last = found.kills[-1]
        held = f", which held {_shown(last.held_kib)}" if last.held_kib is not None else ""
        words.append(f"it killed {last.name} (process {last.pid}){held}")
    if found.peak_kib is not None:
        words.append(f"the peak was {_shown(found.peak_kib)}")
    elif peak_kib is not None:
        words.append(f"the largest process used {_shown(peak_kib)}")
    if found.limit_kib is not None:
        words.append(f"there are {_shown(found.limit_kib)}")
    return "; ".join(words)


def _shown(kib: int) -> str:
    return f"{kib / 1024:.0f} MiB" if kib < 1024 * 1024 else f"{kib / 1024 / 1024:.1f} GiB"


def _own_group() -> Path | None:
    for line in (_text(_OWN_CGROUP) or "").splitlines():
        if line.startswith("0::"):
            return _CGROUPS / line[3:].strip().lstrip("/")
    return None


def _count(file: Path) -> int | None:
    for line in (_text(file) or "").splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return None


def _bytes(file: Path) -> int | None:
    text = (_text(file) or "").strip()
    return int(text) if text.isdigit() else None  # a group without a limit has "max"


def _kib(count: int | None) -> int | None:
    return None if count is None else count // 1024


def _total_kib() -> int | None:
    found = re.search(r"^MemTotal:\s+(\d+) kB", _text(_MEMINFO) or "", re.MULTILINE)
    return int(found[1]) if found else None


def _text(file: Path) -> str | None:
    try:
        return file.read_text()
    except OSError:
        return None
