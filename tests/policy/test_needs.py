"""Types that fit what a run needs, and the cheapest of them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.errors import InvalidSpec
from runctl.model.machine import Accelerator, MachineType
from runctl.policy.needs import CHOSEN, Count, Gpus, cheapest, fitting, parse_needs


def _gpu(name: str, model: str, count: int, gib: int, memory_gib: int = 64, vcpus: int = 8) -> MachineType:
    return MachineType(
        name=name,
        architecture="x86_64",
        accelerator=Accelerator.NVIDIA,
        vcpus=vcpus,
        memory_mib=memory_gib * 1_024,
        gpus=count,
        gpu_name=model,
        gpu_memory_mib=gib * 1_024,
    )


def _cpu(name: str, vcpus: int, memory_gib: int) -> MachineType:
    return MachineType(name=name, architecture="x86_64", vcpus=vcpus, memory_mib=memory_gib * 1_024)


TYPES = [
    _cpu("c6i.xlarge", 4, 8),
    _cpu("c6i.4xlarge", 16, 32),
    _cpu("m6i.2xlarge", 8, 32),
    _gpu("g5.xlarge", "A10G", 1, 24, memory_gib=16, vcpus=4),
    _gpu("g5.2xlarge", "A10G", 1, 24, memory_gib=32),
    _gpu("g5.12xlarge", "A10G", 4, 24),
    _gpu("g6.xlarge", "L4", 1, 22),
    _gpu("p4d.24xlarge", "A100", 8, 40),
    _gpu("p4de.24xlarge", "A100", 8, 80),
    MachineType(name="trn1.2xlarge", architecture="x86_64", accelerator=Accelerator.NEURON, vcpus=8, memory_mib=32_768),
]


def _names(gpus: str | None = None, cpus: str | None = None, memory: str | None = None) -> list[str]:
    needs = parse_needs(gpus, cpus, memory)
    assert needs is not None
    return [each.name for each in fitting(TYPES, needs)]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1", Gpus(Count(1))),
        ("2+", Gpus(Count(2, or_more=True))),
        ("1xA10G", Gpus(Count(1), "A10G")),
        ("8xa100-80GB", Gpus(Count(8), "a100", 80)),
        ("4+xL40S", Gpus(Count(4, or_more=True), "L40S")),
        ("A10G", Gpus(Count(1), "A10G")),
        ("H100:8", Gpus(Count(8), "H100")),
    ],
)
def test_gpus_are_read_as_people_write_them(text: str, meant: Gpus) -> None:
    needs = parse_needs(text, None, None)

    assert needs is not None
    assert needs.gpus == meant


@pytest.mark.parametrize(
    ("gpus", "cpus", "memory", "names"),
    [
        ("1xA10G", None, None, ["g5.xlarge", "g5.2xlarge"]),
        ("1xa10g", None, "32+", ["g5.2xlarge"]),
        ("1", None, None, ["g5.xlarge", "g5.2xlarge", "g6.xlarge"]),
        ("2+xA10G", None, None, ["g5.12xlarge"]),
        ("8xA100-80GB", None, None, ["p4de.24xlarge"]),
        ("8xA100", None, None, ["p4d.24xlarge", "p4de.24xlarge"]),
        ("1xL4-24GB", None, None, ["g6.xlarge"]),
        (None, "8+", None, ["m6i.2xlarge", "c6i.4xlarge"]),
        (None, "4", "8", ["c6i.xlarge"]),
        (None, None, "32+", ["m6i.2xlarge", "c6i.4xlarge"]),
    ],
)
def test_what_fits_is_told_smallest_first(
    gpus: str | None, cpus: str | None, memory: str | None, names: list[str]
) -> None:
    assert _names(gpus, cpus, memory) == names


@pytest.mark.parametrize(
    ("gpus", "cpus", "memory", "message", "hint"),
    [
        ("1xB300", None, None, "1 B300 GPU", "GPUs here: A100, A10G, L4."),
        ("3xA10G", None, None, "3 A10G GPU", "1, 4 to a machine"),
        (None, "7", None, "7 vCPUs", "--cpus 8+"),
        ("1xA10G", "64+", None, "1 A10G GPU and 64+ vCPUs", "fewer --cpus"),
        ("8xA100-120GB", None, None, "8 A100 GPU with 120 GB", "8 to a machine"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(
    gpus: str | None, cpus: str | None, memory: str | None, message: str, hint: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        _names(gpus, cpus, memory)

    assert message in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1x", "1xA10G+", "eight", "8 +", "1.5", "1e3", "+8", "١"])
@pytest.mark.parametrize("option", ["cpus", "memory"])
def test_counts_that_are_none_are_refused(text: str, option: str) -> None:
    with pytest.raises(InvalidSpec, match=f"--{option}"):
        parse_needs(None, **{"cpus": None, "memory": None, option: text})  # type: ignore[arg-type]


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    for asked in ((text, None, None), (None, text, None), (None, None, text)):
        try:
            assert parse_needs(*asked) is not None
        except InvalidSpec as refused:
            assert refused.hint


def test_nothing_asked_for_is_no_need() -> None:
    assert parse_needs(None, None, None) is None


def test_cheapest_come_first_and_those_without_a_price_last() -> None:
    prices = {"g5.xlarge": Decimal("1.006"), "g5.2xlarge": Decimal("1.2"), "g6.xlarge": Decimal("0.8")}
    types = [*(each for each in TYPES if each.name in prices), _gpu("g7.xlarge", "L4", 1, 22)]

    assert cheapest(types, prices.get) == ("g6.xlarge", "g5.xlarge", "g5.2xlarge", "g7.xlarge")


def test_only_so_many_of_the_smallest_are_priced_and_fewer_taken() -> None:
    asked: list[str] = []

    def price_of(name: str) -> Decimal:
        asked.append(name)
        return Decimal(1)

    taken = cheapest([_cpu(f"m9.{number}", 2, 8) for number in range(50)], price_of)

    assert len(asked) == 16
    assert taken == tuple(asked[:CHOSEN])
