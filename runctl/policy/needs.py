"""Which instance types fit what a run needs: GPUs, processors, memory. Pure; the prices come from whoever asks."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from runctl.errors import InvalidSpec
from runctl.model.machine import Accelerator, MachineType

CANDIDATES: Final = 16
"""How many of the smallest types that fit are priced: each price may be a call of its own."""

CHOSEN: Final = 5
"""How many of the cheapest are tried: more pools, more chance of a spot machine."""

_MIB_A_GIB: Final = 1_024
_SLACK: Final = 0.9
"""Of a GPU's memory as it is sold: DescribeInstanceTypes shows 22,888 MiB of an L4, which is sold as one of 24 GB."""

_COUNT: Final = re.compile(r"(?P<amount>[1-9]\d{0,4})(?P<more>\+)?")
_GPUS: Final = (
    re.compile(r"(?P<amount>[1-9]\d{0,2})(?P<more>\+)?(?:x(?P<name>[a-z][a-z0-9 .-]*))?", re.IGNORECASE),
    re.compile(r"(?P<name>[a-z][a-z0-9 .-]*?)(?::(?P<amount>[1-9]\d{0,2})(?P<more>\+)?)?", re.IGNORECASE),
)
_GPU_NAME: Final = re.compile(r"(?P<name>.+?)(?:-(?P<gib>\d{1,4})GB)?", re.IGNORECASE)


@dataclass(frozen=True)
class Count:
    """So many, or at least so many."""

    amount: int
    or_more: bool = False

    def holds(self, found: int) -> bool:
        """Whether a type with `found` of it will do."""
        return found >= self.amount if self.or_more else found == self.amount

    def __str__(self) -> str:
        return f"{self.amount}{'+' if self.or_more else ''}"


@dataclass(frozen=True)
class Gpus:
    """GPUs on one machine; any of NVIDIA's without a name."""

    count: Count
    name: str | None = None
    """As EC2 writes it, in any case: A10G, H100, L40S."""
    gib: int | None = None
    """Memory of each, of models that come with more than one."""

    def holds(self, found: MachineType) -> bool:
        """Whether a type will do."""
        if found.accelerator is not Accelerator.NVIDIA or not self.count.holds(found.gpus):
            return False
        if self.gib is not None and found.gpu_memory_mib < self.gib * _MIB_A_GIB * _SLACK:
            return False
        return self.name is None or self.name.casefold() == found.gpu_name.casefold()


@dataclass(frozen=True)
class Needs:
    """What a run's machine must have. Without GPUs, only machines without any fit."""

    gpus: Gpus | None = None
    cpus: Count | None = None
    memory_gib: Count | None = None

    def holds(self, found: MachineType) -> bool:
        """Whether a type fits."""
        if self.gpus is None and found.accelerator is not Accelerator.NONE:
            return False
        return (
            (self.gpus is None or self.gpus.holds(found))
            and (self.cpus is None or self.cpus.holds(found.vcpus))
            and (self.memory_gib is None or self.memory_gib.holds(found.memory_mib // _MIB_A_GIB))
        )


def parse_needs(gpus: str | None, cpus: str | None, memory: str | None) -> Needs | None:
    """Read `1xA10G` (or `A10G:1`, `A10G`, `2`), `8+` and `32+`; None when nothing is asked for. Raises InvalidSpec."""
    if gpus is None and cpus is None and memory is None:
        return None
    return Needs(
        None if gpus is None else _gpus(gpus),
        None if cpus is None else _count(cpus, "cpus", "8 for exactly 8 vCPUs, 8+ for at least 8"),
        None if memory is None else _count(memory, "memory", "32 for exactly 32 GiB, 32+ for at least 32"),
    )


def fitting(types: Iterable[MachineType], needs: Needs) -> list[MachineType]:
    """The types that fit, the smallest first. Raises InvalidSpec that says what there is of what is lacking."""
    known = list(types)
    found = [each for each in known if needs.holds(each)]
    if not found:
        raise InvalidSpec(_nothing_fits(needs), hint=_what_there_is(known, needs))
    return sorted(found, key=lambda each: (each.gpus, each.memory_mib, each.vcpus, each.name))


def cheapest(types: Iterable[MachineType], price_of: Callable[[str], Decimal | None]) -> tuple[str, ...]:
    """Names of the cheapest of the smallest types, the cheapest first; what has no price comes last."""
    priced = [(price_of(each.name), each.name) for each in list(types)[:CANDIDATES]]
    ordered = sorted(priced, key=lambda one: (one[0] is None, one[0] or Decimal(0)))
    return tuple(name for _, name in ordered[:CHOSEN])


def _count(text: str, option: str, examples: str) -> Count:
    found = _COUNT.fullmatch(text.strip())
    if found is None:
        raise InvalidSpec(f"--{option} {text!r} cannot be read.", hint=f"Write {examples}.")
    return Count(int(found["amount"]), found["more"] is not None)


def _gpus(text: str) -> Gpus:
    for pattern in _GPUS:
        found = pattern.fullmatch(text.strip())
        if found is not None:
            name = None if found["name"] is None else _GPU_NAME.fullmatch(found["name"].strip())
            return Gpus(
                Count(int(found["amount"] or 1), found["more"] is not None),
                None if name is None else name["name"],
                None if name is None or name["gib"] is None else int(name["gib"]),
            )
    raise InvalidSpec(f"--gpus {text!r} cannot be read.", hint="Write 1xA10G, 8xA100-80GB, 2+ or 1xL4.")


def _nothing_fits(needs: Needs) -> str:
    asked: list[str] = []
    if needs.gpus is not None:
        size = "" if needs.gpus.gib is None else f" with {needs.gpus.gib} GB"
        asked.append(f"{needs.gpus.count} {needs.gpus.name or 'NVIDIA'} GPU{size}")
    if needs.cpus is not None:
        asked.append(f"{needs.cpus} vCPUs")
    if needs.memory_gib is not None:
        asked.append(f"{needs.memory_gib} GiB of memory")
    return f"EC2 has no instance type here with {' and '.join(asked)}."


def _what_there_is(known: list[MachineType], needs: Needs) -> str:
    with_gpus = [each for each in known if each.accelerator is Accelerator.NVIDIA]
    if needs.gpus is None or not with_gpus:
        return "Ask for less, or for at least as much: --cpus 8+ --memory 32+."
    named = [each for each in with_gpus if needs.gpus.name in (None, each.gpu_name) or _is_same(needs.gpus, each)]
    if named:
        counts = sorted({each.gpus for each in named})
        return f"There it comes {', '.join(map(str, counts))} to a machine; or ask for fewer --cpus or less --memory."
    return f"GPUs here: {', '.join(sorted({each.gpu_name for each in with_gpus}))}."


def _is_same(gpus: Gpus, found: MachineType) -> bool:
    return gpus.name is not None and gpus.name.casefold() == found.gpu_name.casefold()
