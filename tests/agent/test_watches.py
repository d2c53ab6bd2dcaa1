"""Heartbeats, notices, progress and announcements."""

from pathlib import Path

import pytest

from runctl.agent.announce import LIMIT_S, announce, read_identity
from runctl.agent.events import Identity
from runctl.agent.heartbeat import Heartbeat
from runctl.agent.layout import AttemptFolder
from runctl.agent.notice import USUAL_NOTICE_S, NoticeWatch, seconds_left
from tests.agent.factories import INSTANCE_ID, RUN_ID
from tests.agent.fakes import START, FakeBus, FakeClock, FakeHeartbeats, FakeMetadata, Sayings

ACTION = '{"action": "terminate", "time": "2026-01-31T09:32:00Z"}'


class Beating:
    """A heartbeat every minute."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.heartbeats = FakeHeartbeats()
        self.say = Sayings()
        self.heartbeat = Heartbeat(self.heartbeats, "token", 60.0, self.clock, self.say)

    def silence_s(self) -> float:
        return self.clock.monotonic() - self.heartbeat.last_contact_at

    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            self.heartbeat.step()
            self.clock.advance(1.0)


def test_heartbeats_are_sent_at_once_and_every_interval() -> None:
    beating = Beating()

    beating.live(180)

    assert beating.heartbeats.sent == 3
    assert beating.silence_s() == 60.0


def test_dead_token_is_said_once_and_is_neither_contact_nor_asked_again() -> None:
    beating = Beating()
    beating.live(1)
    beating.heartbeats.is_dead = True

    beating.live(599)

    assert beating.heartbeats.sent == 2
    assert beating.silence_s() == 600.0
    assert len(beating.say.lines) == 1


def test_the_token_of_a_state_that_was_tried_again_is_taken_from_the_hand_off() -> None:
    beating = Beating()
    beating.live(1)
    beating.heartbeats.living = "token-2"
    beating.live(120)
    beating.heartbeats.handed_off = "token-2"

    beating.live(60)

    assert beating.silence_s() < 60.0
    assert len(beating.say.lines) == 2


def test_a_hand_off_that_is_out_of_reach_is_read_again() -> None:
    beating = Beating()
    beating.heartbeats.living = "token-2"
    beating.live(60)
    read = beating.heartbeats.newest_token

    def out_of_reach() -> str | None:
        raise OSError("the bucket cannot be reached")

    beating.heartbeats.newest_token = out_of_reach
    beating.live(60)
    beating.heartbeats.newest_token = read
    beating.heartbeats.handed_off = "token-2"
    beating.live(60)

    assert beating.silence_s() == 60.0


def test_controller_out_of_reach_is_silent_until_a_heartbeat_gets_through() -> None:
    beating = Beating()
    beating.heartbeats.fails = True
    beating.live(600)
    silent_s = beating.silence_s()
    beating.heartbeats.fails = False
    beating.live(1)

    assert silent_s == 600.0
    assert beating.silence_s() == 1.0


def test_command_of_the_controller_is_contact() -> None:
    beating = Beating()
    beating.heartbeats.is_dead = True
    beating.live(100)

    beating.heartbeat.note_contact()

    assert beating.silence_s() == 0.0


def test_notice_in_the_metadata_says_when_the_machine_goes() -> None:
    clock, metadata = FakeClock(), FakeMetadata()
    watch = NoticeWatch(metadata, clock, Sayings())
    watch.step()
    before = watch.notice
    clock.advance(5.0)
    metadata.items["spot/instance-action"] = ACTION
    watch.step()

    assert before is None
    assert watch.notice is not None
    assert (watch.notice.seen_at, watch.notice.length_s) == (1_005.0, 115.0)


def test_first_notice_stands() -> None:
    watch = NoticeWatch(FakeMetadata(**{"spot/instance-action": ACTION}), FakeClock(), Sayings())
    watch.step()
    first = watch.notice

    watch.told()

    assert watch.notice is first


def test_notice_told_by_the_controller_counts_though_the_metadata_lags() -> None:
    watch = NoticeWatch(FakeMetadata(), FakeClock(), Sayings())

    watch.told()

    assert watch.notice is not None
    assert watch.notice.length_s == 120.0


def test_rebalance_recommendation_told_by_the_controller_is_no_notice() -> None:
    metadata = FakeMetadata(**{"events/recommendations/rebalance": '{"noticeTime": "2026-01-31T09:30:00Z"}'})
    watch = NoticeWatch(metadata, FakeClock(), Sayings())

    watch.told()

    assert (watch.rebalance, watch.notice) == (True, None)


def test_metadata_service_that_does_not_answer_is_said_once() -> None:
    metadata, say = FakeMetadata(), Sayings()
    metadata.fails = True
    watch = NoticeWatch(metadata, FakeClock(), say)

    watch.step()
    watch.step()

    assert len(say.lines) == 1


@pytest.mark.parametrize("action", ["", "{}", "[]", '{"time": "soon"}', '{"time": 5}'])
def test_notice_without_a_readable_time_is_the_usual_one(action: str) -> None:
    assert seconds_left(action, START) == 120.0


def test_time_that_has_just_passed_leaves_nothing() -> None:
    assert seconds_left('{"time": "2026-01-31T09:29:55Z"}', START) == 0.0


@pytest.mark.parametrize("time", ["2026-01-31T06:30:00Z", "2026-01-31T12:30:00Z"])
def test_time_of_a_clock_that_is_hours_wrong_is_not_believed(time: str) -> None:
    assert seconds_left(f'{{"time": "{time}"}}', START) == USUAL_NOTICE_S


def test_machine_is_announced_until_its_command_arrives(tmp_path: Path) -> None:
    bus, clock = FakeBus(), FakeClock()
    folder = AttemptFolder.of(tmp_path, RUN_ID, 2)

    def wait(seconds: float) -> None:
        clock.advance(seconds)
        if clock.seconds == 30.0:
            folder.path.mkdir(parents=True)
            folder.claim.touch()

    came = announce(Identity(RUN_ID, 2, INSTANCE_ID), tmp_path, bus, clock, wait, Sayings())

    assert came
    assert len(bus.of("Machine Ready")) >= 3
    assert clock.seconds == 30.0


def test_announcing_ends_after_ten_minutes_and_outlives_a_bus_that_fails(tmp_path: Path) -> None:
    bus, clock, say = FakeBus(), FakeClock(), Sayings()
    bus.failures["Machine Ready"] = 2

    came = announce(Identity(RUN_ID, 2, INSTANCE_ID), tmp_path, bus, clock, clock.advance, say)

    assert not came
    assert clock.seconds == LIMIT_S
    assert 55 <= len(bus.events) <= 65
    assert "could not be announced" in say


def test_machine_knows_its_run_from_its_tags() -> None:
    metadata = FakeMetadata(
        **{"instance-id": INSTANCE_ID, "tags/instance/runctl:run": RUN_ID, "tags/instance/runctl:attempt": "2"}
    )

    assert read_identity(metadata) == Identity(RUN_ID, 2, INSTANCE_ID)


def test_machine_without_our_tags_says_which_are_missing() -> None:
    with pytest.raises(OSError, match="runctl:attempt"):
        read_identity(FakeMetadata(**{"instance-id": INSTANCE_ID, "tags/instance/runctl:run": RUN_ID}))
