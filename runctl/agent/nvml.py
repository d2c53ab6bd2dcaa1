"""How busy the GPUs are, asked of NVIDIA's management library (NVML API Reference Guide), which the driver brings."""

import ctypes
from collections.abc import Callable
from typing import Any

LIBRARY = "libnvidia-ml.so.1"
_SUCCESS = 0
_TEMPERATURE_GPU = 0
_MILLIWATTS = 1_000


class _Utilization(ctypes.Structure):
    """nvmlUtilization_t: percentages of the time."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class _Memory(ctypes.Structure):
    """nvmlMemory_t: bytes."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class Gpus:
    """The machine's GPUs; none where there is no driver."""

    def __init__(self, load: Callable[[str], Any] = ctypes.CDLL) -> None:
        self._load = load
        self._library: Any = None
        self._handles: list[ctypes.c_void_p] | None = None

    def look(self) -> dict[str, float]:
        """`gpu0_percent`, `gpu0_memory_percent`, `gpu0_temperature_c`, `gpu0_power_w`, … for each; what a GPU does not
        tell is left out. A driver that fails is tried again at the next look."""
        if self._handles is None:
            self._handles = self._open()
        found: dict[str, float] = {}
        for number, handle in enumerate(self._handles):
            found.update(self._look_at(handle, f"gpu{number}"))
        return found

    def _open(self) -> list[ctypes.c_void_p]:
        try:
            self._library = self._load(LIBRARY)
        except OSError:
            return []  # no driver: none will come while the training runs
        count = ctypes.c_uint()
        if self._library.nvmlInit_v2() or self._library.nvmlDeviceGetCount_v2(ctypes.byref(count)):
            return []
        handles = [ctypes.c_void_p() for _ in range(count.value)]
        return [
            handle
            for place, handle in enumerate(handles)
            if self._library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(place), ctypes.byref(handle)) == _SUCCESS
        ]

    def _look_at(self, handle: ctypes.c_void_p, name: str) -> dict[str, float]:
        library = self._library
        found: dict[str, float] = {}
        use, memory = _Utilization(), _Memory()
        if library.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(use)) == _SUCCESS:
            found[f"{name}_percent"] = float(use.gpu)
        if library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == _SUCCESS and memory.total:
            found[f"{name}_memory_percent"] = round(100 * memory.used / memory.total, 2)
        degrees, milliwatts = ctypes.c_uint(), ctypes.c_uint()
        if library.nvmlDeviceGetTemperature(handle, _TEMPERATURE_GPU, ctypes.byref(degrees)) == _SUCCESS:
            found[f"{name}_temperature_c"] = float(degrees.value)
        if library.nvmlDeviceGetPowerUsage(handle, ctypes.byref(milliwatts)) == _SUCCESS:
            found[f"{name}_power_w"] = milliwatts.value / _MILLIWATTS
        return found
