"""The log is sent in order and whole, within CloudWatch's limits, and its last lines are the training's own."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.agent.log_reader import Line
from runctl.agent.log_shipper import (
    BATCH_BYTES,
    BATCH_EVENTS,
    COPY_INTERVAL_S,
    EVENT_BYTES,
    SETTLE_S,
    LogShipper,
    batch_size,
)
from runctl.agent.run_log import MAX_LINE_BYTES, LineReader, RunLog, as_terminal, open_log
from tests.agent.fakes import FakeClock, FakeStream, MemoryStore


class Shipped:
    """A log file and where it goes."""

    def __init__(self, path: Path) -> None:
        self.log = RunLog(path / "training.log")
        self.stream = FakeStream()
        self.store = MemoryStore()
        self.clock = FakeClock()
        self.waits: list[float] = []
        self.sent = path / "log_sent.json"
        self.shipper = self.new_shipper()

    def new_shipper(self) -> LogShipper:
        """What an agent has that was just started."""
        return LogShipper(self.log, self.sent, self.stream, self.store, "copy.log", self.clock, self.waits.append)

    def start_again(self) -> None:
        """Let the agent die and start again."""
        self.shipper = self.new_shipper()

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
    assert batch_size([Line(0, "x" * MAX_LINE_BYTES)] * 9) == 4


def test_agent_that_is_started_again_goes_on_where_it_was(shipped: Shipped) -> None:
    shipped.write(b"one\ntwo\n")
    shipped.shipper.step()
    shipped.write(b"three\n")
    shipped.start_again()

    shipped.shipper.step()

    assert shipped.stream.lines == ["one", "two", "three"]
    assert shipped.stream.asked == 0


@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "lost"])
def test_batch_of_which_the_dying_agent_did_not_know_is_asked_for(shipped: Shipped, arrived: bool) -> None:
    class Killed(BaseException):
        """kill -9."""

    shipped.write(b"one\ntwo\n")
    put = shipped.stream.put

    def die(events: list[tuple[int, str]]) -> int:
        if arrived:
            put(events)
        raise Killed

    shipped.stream.put = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        shipped.shipper.step()
    shipped.stream.put = put  # type: ignore[method-assign]
    shipped.write(b"three\n")
    shipped.start_again()

    shipped.shipper.step()

    assert shipped.stream.lines == ["one", "two", "three"]
    assert shipped.waits == [SETTLE_S]


def test_batch_whose_answer_is_lost_is_not_sent_twice(shipped: Shipped) -> None:
    shipped.write(b"one\n")
    shipped.stream.answers_are_lost = True
    shipped.shipper.step()
    shipped.stream.answers_are_lost = False
    shipped.write(b"two\n")

    shipped.shipper.step()

    assert shipped.stream.lines == ["one", "two"]


@given(pieces=st.lists(st.binary(max_size=400), max_size=8), deaths=st.sets(st.integers(0, 8)))
def test_nothing_is_lost_or_repeated_however_often_the_agent_dies(pieces: list[bytes], deaths: set[int]) -> None:
    with TemporaryDirectory() as folder:
        shipped = Shipped(Path(folder))
        for number, piece in enumerate(pieces):
            shipped.write(piece)
            shipped.stream.answers_are_lost = number in deaths
            shipped.shipper.step()
            if number in deaths:
                shipped.start_again()
        shipped.stream.answers_are_lost = False
        shipped.shipper.flush()

        expected = [as_terminal(line) or " " for line in b"".join(pieces).decode("utf-8", "replace").split("\n")]
        if b"".join(pieces).endswith(b"\n") or not b"".join(pieces):
            expected.pop()
        assert shipped.stream.lines == expected


def test_lines_that_are_printed_while_a_batch_is_sent_wait_for_the_next_step(shipped: Shipped) -> None:
    put = shipped.stream.put

    def put_slowly(events: list[tuple[int, str]]) -> int:
        shipped.write(b"more\n")
        return put(events)

    shipped.stream.put = put_slowly  # type: ignore[method-assign]
    shipped.write(b"one\n")

    shipped.shipper.step()
    first = len(shipped.stream.batches)
    shipped.shipper.step()

    assert (first, len(shipped.stream.batches)) == (1, 2)


def test_full_disk_does_not_stop_the_log(shipped: Shipped, tmp_path: Path) -> None:
    shipped.sent = tmp_path / "no such folder" / "log_sent.json"
    shipped.start_again()
    for text in (b"one\n", b"two\n"):
        shipped.write(text)
        shipped.shipper.step()

    assert shipped.stream.lines == ["one", "two"]


def test_progress_bar_without_an_end_is_shown_now_and_then(shipped: Shipped) -> None:
    for percent in range(40):
        shipped.write(f"\r{percent:3} %".encode())
        shipped.shipper.step()
        shipped.clock.advance(1.0)
    shipped.write(b"\r100 %\n")
    shipped.shipper.step()

    assert shipped.stream.lines == ["  9 %", " 19 %", " 29 %", "100 %"]


def test_lines_that_are_refused_for_good_are_told_of_and_do_not_stop_the_log(shipped: Shipped) -> None:
    shipped.write(b"one\n")
    shipped.stream.refused = 1
    shipped.shipper.step()
    shipped.stream.refused = 0
    shipped.shipper.step()

    assert shipped.stream.lines == ["one", "runctl: CloudWatch Logs refused 1 lines; is the machine's clock wrong?"]


def test_clock_that_is_set_back_a_little_does_not_turn_the_order_around(shipped: Shipped) -> None:
    stamps: list[int] = []
    for seconds in (0.0, -60.0, 10.0, -7_200.0):
        shipped.clock.advance(seconds)
        shipped.write(b"line\n")
        shipped.shipper.step()
        stamps.append(shipped.stream.batches[-1][0][0])

    first, second, third, last = stamps
    assert first < second < third
    assert last == int(shipped.clock.now().timestamp() * 1000)


def test_log_of_hours_is_copied_less_often(shipped: Shipped) -> None:
    shipped.write(b"one\n")
    shipped.store.before_read = lambda path: shipped.clock.advance(60.0)
    copies: list[int] = []
    for _ in range(60):
        shipped.clock.advance(60.0)
        shipped.write(b"more\n")
        shipped.shipper.step()
        copies.append(len(shipped.store.written))

    assert 1 <= copies[-1] <= 2


def test_a_hundred_megabytes_are_sent_in_seconds(shipped: Shipped) -> None:
    """What a training may print in a minute; the training itself writes to the disk and waits for nobody."""
    shipped.write((b"x" * 99 + b"\n") * 200_000)
    begun_at = time.process_time()

    shipped.shipper.step()

    assert sum(len(batch) for batch in shipped.stream.batches) == 200_000
    assert time.process_time() - begun_at < 3.0  # of 20 MB; a minute's share is 12 s


@pytest.mark.parametrize("text", ["ab\u00e9\u4e2d\U0001f600" * 40_000, "\r".join(["bar"] * 90_000)])
def test_long_lines_are_cut_between_characters(shipped: Shipped, text: str) -> None:
    shipped.write(text.encode() + b"\nend\n")

    shipped.shipper.flush()

    assert "".join(shipped.stream.lines[:-1]) == as_terminal(text)
    assert "\ufffd" not in "".join(shipped.stream.lines)


def test_log_that_an_agent_before_has_begun_is_gone_on_with(tmp_path: Path) -> None:
    first = open_log(tmp_path, "20260131T093000Z")

    assert open_log(tmp_path, "20260131T100000Z").path == first.path


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
