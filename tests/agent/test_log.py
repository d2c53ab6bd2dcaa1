"""The log is sent in order and whole, within CloudWatch's limits, and its last lines are the training's own."""

from pathlib import Path

import pytest

from runctl.agent.log_shipper import BATCH_BYTES, BATCH_EVENTS, COPY_INTERVAL_S, EVENT_BYTES, LogShipper, batch_size
from runctl.agent.run_log import MAX_LINE_BYTES, LineReader, RunLog
from tests.agent.fakes import FakeClock, FakeStream, MemoryStore


class Shipped:
    """A log file and where it goes."""

    def __init__(self, path: Path) -> None:
        self.log = RunLog(path / "training.log")
        self.stream = FakeStream()
        self.store = MemoryStore()
        self.clock = FakeClock()
        self.shipper = LogShipper(self.log, self.stream, self.store, "copy.log", self.clock)

    def write(self, data: bytes) -> None:
        with self.log.open() as file:
            file.write(data)


@pytest.fixture
def shipped(tmp_path: Path) -> Shipped:
    return Shipped(tmp_path)


def test_lines_arrive_in_order_and_an_unfinished_one_waits(shipped: Shipped) -> None:
    shipped.write(b"one\ntwo\nthr")
    shipped.shipper.step()
    before = list(shipped.stream.lines)
    shipped.write(b"ee\n")
    shipped.shipper.step()

    assert before == ["one", "two"]
    assert shipped.stream.lines == ["one", "two", "three"]


def test_flush_sends_the_last_line_without_its_end_and_copies_the_file(shipped: Shipped) -> None:
    shipped.write(b"one\nno end")

    assert shipped.shipper.flush()
    assert shipped.stream.lines == ["one", "no end"]
    assert shipped.store.objects["copy.log"] == b"one\nno end"


def test_nothing_is_lost_or_sent_twice_when_a_batch_does_not_get_through(shipped: Shipped) -> None:
    shipped.write(b"one\n")
    shipped.stream.fails = True
    shipped.shipper.step()
    shipped.write(b"two\n")
    shipped.stream.fails = False
    shipped.shipper.step()

    assert shipped.stream.lines == ["one", "two"]


def test_flush_says_when_something_did_not_get_there(shipped: Shipped) -> None:
    shipped.write(b"one\n")
    shipped.stream.fails = True

    assert not shipped.shipper.flush()
    assert "CloudWatch" in shipped.shipper.failure


def test_file_is_copied_now_and_then_when_it_has_grown(shipped: Shipped) -> None:
    shipped.write(b"one\n")
    shipped.shipper.step()
    at_first = list(shipped.store.written)
    for _ in range(3):
        shipped.clock.advance(COPY_INTERVAL_S)
        shipped.shipper.step()

    assert at_first == []
    assert shipped.store.written == ["copy.log"]


def test_empty_line_is_sent_as_a_space_for_a_message_may_not_be_empty(shipped: Shipped) -> None:
    shipped.write(b"\n")
    shipped.shipper.step()

    assert shipped.stream.lines == [" "]


def test_progress_bar_is_shown_as_a_terminal_would(shipped: Shipped) -> None:
    shipped.write(b"\r 10%\r 50%\r100%\r\n")
    shipped.shipper.step()

    assert shipped.stream.lines == ["100%"]


def test_bytes_that_are_no_text_do_not_stop_the_log(shipped: Shipped) -> None:
    shipped.write(b"\xff\xfe ok\n")
    shipped.shipper.step()

    assert shipped.stream.lines == ["\ufffd\ufffd ok"]


def test_line_of_megabytes_is_cut_and_loses_nothing(shipped: Shipped) -> None:
    line = "é" * 1_200_000
    shipped.write(line.encode() + b"\nshort\n")

    shipped.shipper.flush()

    sent = shipped.stream.lines
    assert "".join(sent[:-1]) == line
    assert sent[-1] == "short"
    assert max(len(part.encode()) for part in sent) <= MAX_LINE_BYTES


def test_batches_keep_within_the_limits_of_put_log_events(shipped: Shipped) -> None:
    shipped.write(b"x\n" * 25_000 + (b"y" * 100_000 + b"\n") * 30)

    shipped.shipper.flush()

    batches = shipped.stream.batches
    assert sum(len(batch) for batch in batches) == 25_030
    assert max(len(batch) for batch in batches) <= BATCH_EVENTS
    assert max(sum(len(text.encode()) + EVENT_BYTES for _, text in batch) for batch in batches) <= BATCH_BYTES


def test_one_line_of_the_greatest_length_fits_into_a_batch() -> None:
    assert batch_size([(0, "x" * MAX_LINE_BYTES)] * 9) == 4


def test_timestamps_never_go_back(shipped: Shipped) -> None:
    for text in (b"one\n", b"two\n"):
        shipped.write(text)
        shipped.shipper.step()
        shipped.clock.advance(1.0)

    stamps = [stamp for batch in shipped.stream.batches for stamp, _ in batch]
    assert stamps == sorted(stamps)
    assert stamps[1] - stamps[0] == 1_000


def test_last_lines_are_the_trainings_own(shipped: Shipped) -> None:
    shipped.write("".join(f"line {number}\n" for number in range(30)).encode())
    shipped.log.say("the training ended with exit code 3")

    assert shipped.log.last_lines() == tuple(f"line {number}" for number in range(10, 30))


def test_last_lines_are_at_most_4096_characters(shipped: Shipped) -> None:
    shipped.write(b"first\n" + b"x" * 5_000 + b"\n" + b"y" * 96 + b"\n")

    assert shipped.log.last_lines() == ("x" * 4_000, "y" * 96)


def test_reader_of_a_file_that_is_not_there_yet_finds_nothing(tmp_path: Path) -> None:
    assert LineReader(tmp_path / "metrics.jsonl").read() == []
