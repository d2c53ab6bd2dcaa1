"""How busy the machine is, from the kernel's own files: proc(5) and statvfs(3)."""

import os
from collections.abc import Callable
from pathlib import Path

from runctl.agent.clock import Clock

_MIB = 1024 * 1024


class MachineLoad:
    """Looks at CPU, memory, disk and network; what is a rate is counted since the look before."""

    def __init__(self, folder: Path, clock: Clock, proc: Path = Path("/proc")) -> None:
        """`folder` is on the disk that is looked at."""
        self._folder = folder
        self._clock = clock
        self._proc = proc
        self._cpu: tuple[int, int] | None = None
        self._network: tuple[float, int, int] | None = None

    def look(self) -> dict[str, float]:
        """Percentages (`…_percent`), and MiB a second (`…_mib_s`); what the machine does not tell is left out."""
        found: dict[str, float] = {}
        for part in (self._look_at_cpu, self._look_at_memory, self._look_at_disk, self._look_at_network):
            found.update(_if_there(part))
        return {name: round(value, 2) for name, value in found.items()}

    def _look_at_cpu(self) -> dict[str, float]:
        # Fields: user nice system idle iowait irq softirq steal, then guests, which user holds already.
        line = (self._proc / "stat").read_text().partition("\n")[0]
        ticks = [int(field) for field in line.split()[1:9]]
        total, idle = sum(ticks), ticks[3] + ticks[4]
        before, self._cpu = self._cpu, (total, idle)
        if before is None or total <= before[0]:
            return {}
        return {"cpu_percent": 100 * (1 - (idle - before[1]) / (total - before[0]))}

    def _look_at_memory(self) -> dict[str, float]:
        fields = dict(line.split(":", 1) for line in (self._proc / "meminfo").read_text().splitlines() if ":" in line)
        total, available = (int(fields[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
        return {"memory_percent": 100 * (1 - available / total)}

    def _look_at_disk(self) -> dict[str, float]:
        disk = os.statvfs(self._folder)
        return {"disk_percent": 100 * (1 - disk.f_bavail / disk.f_blocks)}

    def _look_at_network(self) -> dict[str, float]:
        received = sent = 0
        for line in (self._proc / "net" / "dev").read_text().splitlines()[2:]:
            name, _, counters = line.partition(":")
            if name.strip() == "lo":
                continue
            fields = counters.split()
            received, sent = received + int(fields[0]), sent + int(fields[8])
        now = self._clock.monotonic()
        before, self._network = self._network, (now, received, sent)
        if before is None or now <= before[0]:
            return {}
        seconds = now - before[0]
        return {
            "network_in_mib_s": max(0, received - before[1]) / _MIB / seconds,
            "network_out_mib_s": max(0, sent - before[2]) / _MIB / seconds,
        }


def _if_there(look: Callable[[], dict[str, float]]) -> dict[str, float]:
    try:
        return look()
    except (OSError, KeyError, IndexError, ValueError, ZeroDivisionError):
        return {}
