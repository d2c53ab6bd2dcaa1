"""Event files are read as their formats say; the files are made here, byte by byte, from the specification."""

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.agent.board_files import LOOK_AGAIN_S, BoardFiles
from runctl.agent.tensorboard import LARGEST_RECORD_BYTES, DamagedFileError, EventFile, Scalar, crc32c
from tests.agent.fakes import FakeClock, Sayings


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def _bytes_field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _record(data: bytes) -> bytes:
    def masked(content: bytes) -> bytes:
        crc = crc32c(content)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def _event(step: int, *values: bytes) -> bytes:
    wall_time = _varint(1 << 3 | 1) + struct.pack("<d", 1_769_851_800.5)
    summary = _bytes_field(5, b"".join(_bytes_field(1, value) for value in values))
    return _record(wall_time + _varint(2 << 3) + _varint(step) + summary)


def _simple(tag: str, value: float) -> bytes:
    """As PyTorch's SummaryWriter and TensorFlow 1 write it."""
    return _bytes_field(1, tag.encode()) + _varint(2 << 3 | 5) + struct.pack("<f", value)


def _tensor(tag: str, value: float, *, packed: bool, double: bool = False) -> bytes:
    """As TensorFlow 2 writes it: the plugin is named, the value is a tensor."""
    number = struct.pack("<d" if double else "<f", value)
    place = (6 if double else 5) if packed else 4
    tensor = _varint(1 << 3) + _varint(2 if double else 1) + _bytes_field(2, b"") + _bytes_field(place, number)
    metadata = _bytes_field(1, _bytes_field(1, b"scalars"))
    return _bytes_field(1, tag.encode()) + _bytes_field(9, metadata) + _bytes_field(8, tensor)


VERSION = _record(_varint(1 << 3 | 1) + struct.pack("<d", 1.0) + _bytes_field(3, b"brain.Event:2"))


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"\x00" * 32, 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
    ],
)
def test_sum_is_the_one_of_the_rfc(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc


def test_scalars_are_read_however_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "events.out.tfevents.1"
    file.write_bytes(
        VERSION
        + _event(1, _simple("train/loss", 0.5), _simple("lr", 0.25))
        + _event(300, _tensor("loss", 1.5, packed=True), _tensor("acc", 0.75, packed=False))
        + _event(-1, _tensor("exact", 0.1, packed=False, double=True))
    )

    assert EventFile(file).read() == [
        Scalar("train/loss", 1, 0.5),
        Scalar("lr", 1, 0.25),
        Scalar("loss", 300, 1.5),
        Scalar("acc", 300, 0.75),
        Scalar("exact", -1, 0.1),
    ]


def test_file_is_followed_and_a_record_that_is_half_written_waits(tmp_path: Path) -> None:
    file = tmp_path / "events.out.tfevents.1"
    first, second = _event(1, _simple("loss", 0.5)), _event(2, _simple("loss", 0.25))
    events = EventFile(file)
    read: list[list[Scalar]] = []
    for content in (first + second[:7], first + second[:-1], first + second):
        file.write_bytes(content)
        read.append(events.read())

    assert [[scalar.step for scalar in scalars] for scalars in read] == [[1], [], [2]]


@pytest.mark.parametrize("place", [0, 9, 13, -1])
def test_damaged_record_is_not_taken_for_figures(tmp_path: Path, place: int) -> None:
    content = bytearray(_event(1, _simple("loss", 0.5)))
    content[place] ^= 1
    (tmp_path / "events").write_bytes(content)

    with pytest.raises(DamagedFileError):
        EventFile(tmp_path / "events").read()


def test_what_is_no_scalar_is_passed_over(tmp_path: Path) -> None:
    image = _bytes_field(1, b"image") + _bytes_field(4, b"x" * LARGEST_RECORD_BYTES)
    histogram = _bytes_field(1, b"weights") + _bytes_field(5, b"\x01\x02")
    vector = _bytes_field(1, b"vector") + _bytes_field(8, _varint(1 << 3) + _varint(1) + _bytes_field(4, b"x" * 12))
    nan = _simple("nan", float("nan"))
    content = (
        VERSION
        + b"".join(_event(1, value) for value in (image, histogram, vector, nan))
        + _event(2, _simple("loss", 1.0))
    )
    (tmp_path / "events").write_bytes(content)

    assert EventFile(tmp_path / "events").read() == [Scalar("loss", 2, 1.0)]


@given(data=st.binary(max_size=200))
def test_any_message_is_survived(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("events") / "events"
    file.write_bytes(_record(data) + _record(_bytes_field(5, data)) + _record(_bytes_field(5, _bytes_field(1, data))))

    EventFile(file).read()


class Boards:
    """A project's folder in which TensorBoard files appear."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FakeClock()
        self.say = Sayings()
        self.files = BoardFiles((path,), self.clock, self.say)

    def write(self, name: str, content: bytes) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def read(self) -> list[Scalar]:
        self.clock.advance(LOOK_AGAIN_S)
        return self.files.read()


def test_files_that_appear_anywhere_are_found_but_not_those_that_came_with_the_project(tmp_path: Path) -> None:
    boards = Boards(tmp_path)
    boards.write("runs/old/events.out.tfevents.0", _event(9, _simple("loss", 9.0)))
    old = boards.path / "runs/old/events.out.tfevents.0"
    os.utime(old, (1_000_000_000, 1_000_000_000))
    before = boards.read()
    boards.files.training_began(boards.clock.monotonic())
    boards.write("runs/new/events.out.tfevents.1", _event(1, _simple("loss", 0.5)))

    assert (before, boards.read()) == ([], [Scalar("loss", 1, 0.5)])


def test_damaged_file_is_told_of_once_and_left_alone(tmp_path: Path) -> None:
    boards = Boards(tmp_path)
    boards.files.training_began(boards.clock.monotonic())
    boards.write("events.out.tfevents.1", b"x" * 40)

    assert [boards.read(), boards.read()] == [[], []]
    assert len(boards.say.lines) == 1


def test_file_that_is_removed_is_forgotten(tmp_path: Path) -> None:
    boards = Boards(tmp_path)
    boards.files.training_began(boards.clock.monotonic())
    file = boards.write("events.out.tfevents.1", VERSION)
    boards.read()
    file.unlink()

    assert boards.read() == []
    assert boards.say.lines == []
