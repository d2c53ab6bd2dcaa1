"""The bucket refuses, the network is gone, the clock is wrong: the training goes on, and what is owed is sent later."""

from pathlib import Path

import pytest

from runctl.agent.clients import AwsRefused
from runctl.agent.ending import Act
from runctl.agent.trouble import TOLD_AFTER_S, Trouble
from tests.agent.beside import Beside
from tests.agent.fakes import FakeClock


def test_network_that_is_gone_for_ten_minutes_loses_nothing_and_is_told_of(tmp_path: Path) -> None:
    beside = Beside(tmp_path, keep_checkpoints=9)
    beside.tick(1.0)
    out_of_reach = (beside.store, beside.stream, beside.heartbeats)
    for one in out_of_reach:
        one.fails = True
    beside.bus.failures = {"Progress": 10**6, "Checkpoint Saved": 10**6}
    told: set[Act] = set()
    for minute in range(10):
        beside.print(f"minute {minute}")
        beside.save(minute)
        told |= beside.ticks(60.0, 5.0)
    gone = (list(beside.printed), list(beside.checkpoints), list(beside.warnings))

    for one in out_of_reach:
        one.fails = False
    beside.bus.failures = {}
    told |= beside.ticks(120.0, 5.0)

    assert gone == ([], [], [])
    assert told == {Act.NOTHING}
    assert beside.printed == [f"minute {minute}" for minute in range(10)]
    assert beside.checkpoints == list(range(1, 10))
    assert any("bucket cannot be written" in text for text in beside.warnings)
    assert any("controller is reached again, after 10 min" in text for text in beside.warnings)
    assert len(beside.warnings) == len(set(beside.warnings)) == 6


def test_bucket_that_refuses_is_told_of_while_it_does(tmp_path: Path) -> None:
    beside = Beside(tmp_path)

    def refuse(key: str, body: bytes) -> None:
        raise AwsRefused("AccessDenied", "not for this role")

    works = beside.store.put
    beside.store.put = refuse  # type: ignore[method-assign]
    beside.save(1)
    beside.ticks(TOLD_AFTER_S + 20.0, 5.0)
    while_refused = list(beside.warnings)
    beside.store.put = works  # type: ignore[method-assign]
    beside.ticks(60.0, 5.0)

    assert [text for text in while_refused if "AccessDenied" in text] == while_refused[:1]
    assert beside.checkpoints == [1]
    assert "The bucket is written again" in beside.warnings[-1]


def test_store_that_fails_every_third_call_loses_nothing(tmp_path: Path) -> None:
    beside = Beside(tmp_path, keep_checkpoints=50)
    beside.store.fails_each = 3

    for step in range(1, 31):
        beside.save(step)
        beside.ticks(60.0, 5.0)
    beside.ticks(300.0, 5.0)

    assert beside.checkpoints == list(range(1, 31))
    for key in [key for key in beside.store.objects if key.endswith("/manifest.json")]:
        assert all(file["key"] in beside.store.objects for file in beside.store.document(key)["files"])


def test_clock_that_is_wrong_is_told_of_once_and_when_it_is_right_again(tmp_path: Path) -> None:
    beside = Beside(tmp_path)
    beside.clock_error_s = 3 * 3_600.0
    told = beside.ticks(30.0, 1.0)
    beside.clock_error_s = 0.0
    told |= beside.ticks(60.0, 1.0)

    assert told == {Act.NOTHING}
    assert "clock is wrong (by 180 min, ahead)" in beside.warnings[0]
    assert "clock is right again" in beside.warnings[1]
    assert len(beside.warnings) == 2


def test_time_of_day_that_jumps_moves_no_deadline(tmp_path: Path) -> None:
    beside = Beside(tmp_path, max_runtime_s=86_400)
    beside.tick(1.0)
    start = beside.clock.monotonic()
    now = beside.clock.now
    beside.clock.now = lambda: now().replace(year=now().year + 1)  # type: ignore[method-assign]

    told = beside.ticks(3_600.0, 10.0)

    assert beside.clock.monotonic() == start + 3_600.0
    assert told == {Act.NOTHING}


def test_trouble_that_is_soon_over_is_not_told_of() -> None:
    clock, told = FakeClock(), list[str]()
    trouble = Trouble("It fails", "It works", told.append, clock)

    trouble.came("once")
    clock.advance(TOLD_AFTER_S - 1)
    trouble.came("once")
    trouble.went()
    clock.advance(TOLD_AFTER_S)
    trouble.came("again")

    assert told == []


def test_file_of_the_training_that_is_gone_is_no_trouble_of_the_bucket() -> None:
    clock, told = FakeClock(), list[str]()
    trouble = Trouble("It fails", "It works", told.append, clock, told_after_s=0.0)

    def gone() -> None:
        raise FileNotFoundError("step-1.pt")

    with pytest.raises(FileNotFoundError):
        trouble.watch(gone)

    assert told == []
