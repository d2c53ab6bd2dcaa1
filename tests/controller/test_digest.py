"""The daily and weekly report."""

from dataclasses import dataclass, field
from datetime import timedelta

from runctl.controller.send_digest import send_digest
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
