"""A full disk: the room that was held back is given, the training goes on, its end is written, and the run tells."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runctl.agent import parts
from runctl.agent.disk import HeldRoom
from tests.agent.attempt import Attempt

MIB = 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB; needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


FILLS = """\
import os, pathlib, sys, time
print("training", flush=True)
time.sleep(1.5)
filler = open("filler", "wb", buffering=0)
try:
    while True:
        filler.write(b"x" * 1024 * 1024)
except OSError as error:
    pass
time.sleep(2.5)
for line in range(200):
    print(f"line {line} of a training on a full disk", flush=True)
sys.exit(3)
"""


def test_training_on_a_full_disk_goes_on_and_nothing_of_its_log_and_end_is_lost(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "HeldRoom", lambda file, warn: HeldRoom(file, warn, held_bytes=MIB // 2))
    attempt = Attempt(small_disk, FILLS)

    ended = attempt.run()

    assert (ended.why, ended.exit_code) == ("exited", 3)
    assert attempt.folder.exit_code.read_text() == "3\n"
    lines = [f"line {line} of a training on a full disk" for line in range(200)]
    assert [line for line in attempt.stream.lines if line.startswith("line ")] == lines
    warnings = [text for event in attempt.bus.of("Progress") for text in event["data"].get("warnings", [])]
    assert any("disk is full" in text for text in warnings)


class Disk:
    """A disk whose free room is set."""

    def __init__(self, folder: Path) -> None:
        self.warned: list[str] = []
        self.file = folder / "held"
        self.free = 0
        self.room = HeldRoom(self.file, self.warned.append, held_bytes=MIB, free=lambda: self.free)

    def step(self, free: int) -> bool:
        self.free = free
        self.room.step()
        return self.file.exists()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_room_is_held_where_there_is_plenty_and_really_taken(disk: Disk) -> None:
    assert disk.step(100 * MIB)
    assert disk.file.stat().st_blocks * 512 >= MIB
    assert disk.warned == []


def test_no_room_is_held_on_a_disk_that_is_nearly_full_from_the_start(disk: Disk) -> None:
    assert not disk.step(2 * MIB)


def test_room_is_given_when_there_is_none_left_and_told_once(disk: Disk) -> None:
    disk.step(100 * MIB)

    held = [disk.step(free) for free in (MIB, MIB // 4, MIB // 8, 0)]

    assert held == [True, False, False, False]
    assert len(disk.warned) == 1


def test_room_is_held_again_when_there_is_plenty_again(disk: Disk) -> None:
    disk.step(100 * MIB)
    disk.step(0)

    assert disk.step(100 * MIB)


def test_room_is_given_back_at_the_end(disk: Disk) -> None:
    disk.step(100 * MIB)

    disk.room.let_go()
    disk.room.let_go()

    assert not disk.file.exists()
