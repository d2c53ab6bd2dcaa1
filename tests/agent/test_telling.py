"""The controller is told of what is new, and not more often than is worth paying for."""

from decimal import Decimal
from typing import Any

import pytest

from runctl.agent.clock import iso
from runctl.agent.events import EventSender, Identity
from runctl.agent.progress import Figures
from runctl.agent.telling import BURST, RETRY_S, TELL_INTERVAL_S, Telling
from tests.agent.factories import INSTANCE_ID, RUN_ID, SECRET
from tests.agent.fakes import FakeBus, FakeClock, Sayings

DAY_S = 24 * 3_600


class Told:
    """A training's figures and checkpoints, and the bus that hears of them."""

    def __init__(self) -> None:
        self.bus = FakeBus()
        self.clock = FakeClock()
        self.say = Sayings()
        self.figures = Figures()
        self.is_urgent = False
        events = EventSender(Identity(RUN_ID, 2, INSTANCE_ID, SECRET), self.bus, self.clock)
        self.telling = Telling(events, lambda: self.figures, lambda: self.is_urgent, self.clock, self.say)

    def save(self, step: int, *, second: float | None = None) -> None:
        self.telling.saved({"name": f"step-{step}", "step": step, "saved_at": self.time(second)})

    def time(self, second: float | None = None) -> str:
        clock = FakeClock()
        clock.advance(self.clock.seconds if second is None else second)
        return iso(clock.now())

    def spend_all(self) -> None:
        """Tell as many as may be told at once."""
        for step in range(BURST):
            self.save(step)
        self.bus.events.clear()

    @property
    def steps(self) -> list[Any]:
        return [event["data"]["step"] for event in self.bus.of("Checkpoint Saved")]


@pytest.fixture
def told() -> Told:
    return Told()


def test_first_checkpoints_are_told_at_once_and_the_next_waits(told: Told) -> None:
    for step in range(BURST + 2):
        told.save(step)

    assert told.steps == list(range(BURST))


def test_of_checkpoints_that_wait_the_newest_is_told(told: Told) -> None:
    told.spend_all()
    for step in (11, 12, 13):
        told.save(step)

    told.clock.advance(TELL_INTERVAL_S)
    told.telling.step()
    told.telling.step()

    assert told.steps == [13]


def test_on_a_notice_every_checkpoint_is_told_at_once(told: Told) -> None:
    told.spend_all()
    told.is_urgent = True

    for step in (11, 12):
        told.save(step)

    assert told.steps == [11, 12]


def test_at_the_end_the_newest_is_told_whatever_was_told_before(told: Told) -> None:
    told.spend_all()
    told.save(11)
    before = list(told.bus.events)

    told.telling.flush()
    told.telling.flush()

    assert before == []
    assert told.steps == [11]


def test_checkpoint_that_is_uploaded_after_a_newer_one_is_not_told(told: Told) -> None:
    told.save(20, second=20.0)
    told.save(10, second=10.0)
    told.telling.flush()

    assert told.steps == [20]


def test_figures_are_told_every_five_minutes_when_they_have_changed(told: Told) -> None:
    for minute in range(20):
        told.figures = Figures(step=min(minute, 12))
        told.clock.advance(60.0)
        told.telling.step()

    assert [event["data"]["step"] for event in told.bus.of("Progress")] == [4, 9, 12]


def test_checkpoint_brings_the_figures_along_and_they_are_not_told_again(told: Told) -> None:
    told.figures = Figures(step=7, loss=0.25)
    told.save(7)
    told.save(8)
    told.clock.advance(TELL_INTERVAL_S)
    told.telling.step()

    first, second = told.bus.events
    assert (first["data"]["progress"]["step"], first["data"]["progress"]["loss"]) == (7, 0.25)
    assert "progress" not in second["data"]


def test_at_the_end_the_last_figures_are_told(told: Told) -> None:
    told.figures = Figures(step=7)

    told.telling.flush()

    assert [event["data"]["step"] for event in told.bus.of("Progress")] == [7]


def test_checkpoint_whose_event_is_lost_is_told_later(told: Told) -> None:
    told.bus.failures["Checkpoint Saved"] = 1
    told.save(7)
    told.telling.step()
    told.clock.advance(RETRY_S)
    told.telling.step()

    assert told.steps == [7]
    assert len(told.say.lines) == 1


@pytest.mark.parametrize("every_s", [10, 60, 299, 301, 420, 3_600])
def test_a_day_costs_less_than_a_third_of_a_cent_however_often_it_saves(told: Told, every_s: int) -> None:
    """List prices of us-east-1, in USD of a million: EventBridge custom events 1.00; Lambda 0.20 and 13.33 a GB-second
    (arm64, 512 MiB, 0.1 s); DynamoDB on demand 0.625 a write unit, 0.125 a read unit. A run's item of 2 KB costs a
    write unit a KB in the table and in each of two indexes, and twice that in a transaction, but for the indexes."""
    put_and_react = Decimal("1.00") + Decimal("0.20") + Decimal("13.33") * Decimal("0.05") + 2 * Decimal("0.125")
    progress = put_and_react + Decimal("0.625") * (2 + 2 * 2)
    checkpoint = put_and_react + Decimal("0.625") * (2 * (2 + 1) + 2 * 2)

    for second in range(0, DAY_S, 10):
        told.figures = Figures(step=second)
        if second % every_s == 0:
            told.save(second)
        told.telling.step()
        told.clock.advance(10.0)
    told.telling.flush()

    saved, others = len(told.bus.of("Checkpoint Saved")), len(told.bus.of("Progress"))
    assert saved + others <= DAY_S / TELL_INTERVAL_S + BURST + 1
    assert (saved * checkpoint + others * progress) / 1_000_000 < Decimal("0.0027")
