"""Stops and starts of a kept machine, held against an oracle that knows its life and adds it up second by second."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from runctl.model.attempt import Attempt
from runctl.model.machine import MachineState, MachineView
from runctl.model.run import PurchaseOption
from runctl.model.status import Reason
from runctl.policy.budget_spend import cost_until
from runctl.policy.cost import attempt_cost, on_demand_cost, usd_per_hour
from runctl.policy.pauses import Pause, pauses, pauses_of, with_sighting, with_stop
from tests.factories import INSTANCE, after, make_attempt, make_spec

LIVES = 100
PRICE = Decimal("0.10")
DISK_GIB = 100
WATCH_S = 300


@dataclass(frozen=True)
class Life:
    """When a machine was started and stopped, in turns, in whole seconds; it ends at the last one."""

    moments: tuple[int, ...]

    @property
    def ends(self) -> int:
        return self.moments[-1]

    def runs_at(self, second: int) -> bool:
        return sum(moment <= second for moment in self.moments[:-1]) % 2 == 1

    def view(self, at: int) -> MachineView:
        """What EC2 shows of it at a moment."""
        past = [moment for moment in self.moments[:-1] if moment <= at]
        runs = len(past) % 2 == 1
        return MachineView(
            instance_id=INSTANCE,
            state=MachineState.RUNNING if runs else MachineState.STOPPED,
            launched_at=after(past[-1] if runs else past[-2]),
            changed_at=None if runs else after(past[-1]),
        )


def oracle(life: Life, until: int) -> Fraction:
    """Add up each second: machine, address and disk while it runs, the disk while it is stopped."""
    disk = Fraction(DISK_GIB) * Fraction(8, 100) / 730
    running = sum(life.runs_at(second) for second in range(until))
    return (until * disk + running * (Fraction(PRICE) + Fraction(5, 1_000))) / 3_600


def a_life(chance: random.Random) -> Life:
    moments = [0]
    for _ in range(chance.randint(1, 8)):
        moments.append(moments[-1] + chance.randint(400, 4_000))
    return Life(tuple(moments))


def an_attempt() -> Attempt:
    return make_attempt(
        purchase_option=PurchaseOption.ON_DEMAND,
        price_usd_per_hour=PRICE,
        on_demand_usd_per_hour=PRICE,
        disk_gib=DISK_GIB,
        reason=Reason.COMPLETED,
    )


def watched(life: Life, looks: Sequence[int]) -> Attempt:
    """The attempt after looks at its machine at these moments, in this order."""
    attempt = an_attempt()
    for at in looks:
        attempt = with_sighting(attempt, life.view(at), after(at))
    return attempt


def close(usd: Decimal | None, expected: Fraction) -> bool:
    return usd is not None and abs(Fraction(usd) - expected) < Fraction(1, 10_000)


@pytest.mark.parametrize("seed", range(LIVES))
def test_every_second_of_a_kept_machine_and_its_stopped_disk_is_metered(seed: int) -> None:
    chance = random.Random(seed)
    life = a_life(chance)
    # A look in every state, some twice, and in no particular order: what events and the cost watch saw.
    looks = [chance.randint(a + 1, b - 1) for a, b in zip(life.moments, life.moments[1:], strict=False)]
    looks += chance.sample(looks, len(looks) // 2)
    attempt = watched(life, sorted(looks))
    late = [at for at in chance.sample(life.moments[1:-1], len(life.moments[1:-1])) if not life.runs_at(at)]
    for at in late:
        attempt = with_stop(attempt, after(at))

    ended = attempt.model_copy(update={"gone_at": after(life.ends)})

    assert close(attempt_cost(ended, after(life.ends + 999)), oracle(life, life.ends))
    assert on_demand_cost(ended, after(life.ends + 999)) == attempt_cost(ended, after(life.ends + 999))


@pytest.mark.parametrize("seed", range(50))
def test_the_notes_say_the_same_in_whatever_order_and_however_often_they_are_taken(seed: int) -> None:
    chance = random.Random(seed)
    life = a_life(chance)
    looks = list(range(1, life.ends, WATCH_S))

    in_order = watched(life, looks)
    shuffled = watched(life, chance.sample(looks, len(looks)) + looks)

    assert pauses(shuffled) == pauses(in_order)


@pytest.mark.parametrize("seed", range(50))
def test_without_any_event_a_machine_is_charged_too_much_for_one_interval_of_each_stop_at_most(seed: int) -> None:
    chance = random.Random(seed)
    moments = [0]
    for _ in range(chance.randint(1, 5)):
        moments += [moments[-1] + chance.randint(400, 4_000), 0]
        moments[-1] = moments[-2] + chance.randint(30, 900)
    life = Life((*moments, moments[-1] + 1_000))
    attempt = watched(life, range(1, life.ends, WATCH_S)).model_copy(update={"gone_at": after(life.ends)})

    usd, exact = attempt_cost(attempt, after(life.ends)), oracle(life, life.ends)

    assert usd is not None
    stops = len(moments) // 2
    at_most = exact + stops * Fraction(WATCH_S) * (Fraction(PRICE) + Fraction(5, 1_000)) / 3_600
    assert exact - Fraction(1, 10_000) < Fraction(usd) < at_most + Fraction(1, 10_000)


def test_what_a_day_has_cost_is_told_by_its_own_starts_and_stops() -> None:
    life = Life((0, 1_000, 50_000, 60_000, 90_000))
    attempt = watched(life, [500, 2_000, 55_000, 70_000])

    until = cost_until(make_spec(), [attempt], after(90_000))

    assert close(until(after(30_000)), oracle(life, 30_000))
    assert close(until(after(55_000)), oracle(life, 55_000))


def test_a_stopped_machine_costs_its_disk_an_hour() -> None:
    attempt = watched(Life((0, 1_000, 9_000)), [2_000])

    an_hour = usd_per_hour(attempt)

    assert an_hour is not None
    assert close(an_hour, Fraction(DISK_GIB) * Fraction(8, 100) / 730)


def test_each_start_is_charged_a_minute_at_least() -> None:
    ten_seconds = [after(1_000), after(2_010)]
    attempt = an_attempt().model_copy(update={"stops": tuple(ten_seconds), "restarts": (after(2_000),)})

    usd = attempt_cost(attempt, after(3_000))

    minute = Life((0, 1_000, 2_000, 2_060, 3_000))
    assert close(usd, oracle(minute, 3_000))


def test_several_stops_without_a_start_between_them_are_the_first() -> None:
    found = pauses_of(after(0), [after(130), after(100)], [after(400)])

    assert found == (Pause(after(100), after(400)),)


def test_a_start_after_a_stop_is_one_however_soon_it_comes() -> None:
    stopped = with_stop(an_attempt(), after(20))
    view = Life((0, 20, 30, 9_000)).view(31)

    assert pauses(with_sighting(stopped, view, after(31))) == (Pause(after(20), after(30)),)


def test_ec2s_own_time_of_the_launch_is_no_second_start() -> None:
    view = Life((0, 9_000)).view(10).model_copy(update={"launched_at": after(0) + timedelta(seconds=2)})

    assert with_sighting(an_attempt(), view, after(10)) == an_attempt()
