"""The daily and weekly report."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from runctl.controller.send_digest import send_digest
from runctl.model.price import Spending
from tests.controller.stages import to_training
from tests.fakes.world import World

DAY = 86_400


@dataclass
class MemoryPages:
    """The bucket's reports."""

    kept: dict[str, str] = field(default_factory=dict[str, str])

    def put(self, name: str, text: str) -> str:
        self.kept[name] = text
        return f"s3://bucket/{name}"


def send(world: World, pages: MemoryPages, days: int = 1) -> bool:
    answer = send_digest(days, ledger=world.runs, pages=pages, notifications=world.notifications, now=world.clock)
    return bool(answer["sent"])


def with_a_settled_run() -> World:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.says_ended())
    execution.advance()
    world.observe_machine(world.state_change(world.machine(1)))
    world.machines.forget_all()
    world.watch_costs()
    world.notifications.sent.clear()
    return world


def test_people_are_told_of_yesterday_and_the_page_is_kept() -> None:
    world, pages = with_a_settled_run(), MemoryPages()
    spent_on = world.clock().date()
    world.clock.move(DAY)

    assert send(world, pages)

    ((subject, text),) = world.notifications.sent
    assert subject.endswith("spent yesterday")
    assert "1 run on 1 machine" in text
    assert list(pages.kept) == [f"daily-{spent_on}"]
    assert text.startswith(pages.kept[f"daily-{spent_on}"])
    assert f"s3://bucket/daily-{spent_on}" in text


def test_a_week_holds_the_seven_days_before_today() -> None:
    world, pages = with_a_settled_run(), MemoryPages()
    spent_on = world.clock().date()
    world.clock.move(7 * DAY)
    within = send(world, pages, 7)
    world.clock.move(DAY)
    after = send(world, pages, 7)

    assert (within, after) == (True, False)
    assert list(pages.kept) == [f"7-days-{spent_on + timedelta(days=6)}"]


def test_nobody_is_told_of_nothing() -> None:
    world, pages = World(), MemoryPages()

    assert not send(world, pages)
    assert (world.notifications.sent, pages.kept) == ([], {})


MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)


def a_line(ended_h: float, settled_h: float, cents: int) -> Spending:
    """A machine that ended and was settled so many hours after midnight, of so many cents."""
    at = MIDNIGHT + timedelta(hours=ended_h)
    return Spending(
        run_id=f"r-{cents}",
        name="digits",
        attempt=1,
        project="vision",
        user="ada",
        machine="i-1",
        instance_type="m5.large",
        availability_zone="us-east-1a",
        purchase_option="spot",
        launched_at=at - timedelta(hours=1),
        ended_at=at,
        usd=Decimal(cents) / 100,
        on_demand_usd=Decimal(cents) / 100,
        recomputed_usd=Decimal(0),
        settled_at=MIDNIGHT + timedelta(hours=settled_h),
    )


LINES = (
    a_line(1, 1.2, 1),
    a_line(23.9, 24.1, 2),
    a_line(23.9, 24.99, 4),
    a_line(23.9, 25.1, 8),
    a_line(12, 24 * 9, 16),
    a_line(24.1, 24.3, 32),
    a_line(5, 24 * 40, 64),
)


def told_cents(world: World, pages: MemoryPages, days: int) -> int:
    """What a digest tells now was spent."""
    if not send(world, pages, days):
        return 0
    line = next(each for each in world.notifications.sent[-1][1].splitlines() if each.startswith("Spent"))
    return int(Decimal(line.split("$")[1]) * 100)


@pytest.mark.parametrize("days", [1, 7])
@pytest.mark.parametrize("sent_at_h", [0.2, 0.99, 7, 23.5])
def test_every_machine_is_in_one_digest_however_late_its_price_came(days: int, sent_at_h: float) -> None:
    world, pages = World(), MemoryPages()
    told = 0
    for day in range(0, 56, days):
        world.clock.at = MIDNIGHT + timedelta(days=day, hours=sent_at_h)
        world.runs.ledger = [line for line in LINES if line.settled_at is not None and line.settled_at <= world.clock()]
        told += told_cents(world, pages, days)

    assert told == sum(int(line.usd * 100) for line in LINES) == 127


def test_a_digest_says_what_of_it_ended_earlier() -> None:
    world, pages = World(), MemoryPages()
    world.runs.ledger = [LINES[4]]
    world.clock.at = MIDNIGHT + timedelta(days=9, hours=7)

    assert send(world, pages)

    assert "of 1 machine that ended earlier; no earlier digest has it." in world.notifications.sent[-1][1]
