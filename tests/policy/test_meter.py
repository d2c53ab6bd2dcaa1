"""The meter, held against an oracle that is written another way: it walks through time second by second."""

import random
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.model.attempt import Attempt, Fact, FactKind
from runctl.model.machine import SPOT_TERMINATION
from runctl.model.price import PriceStep
from runctl.model.run import PurchaseOption
from runctl.policy.cost import run_cost
from runctl.policy.meter import MachineUse, integral_usd, meter, steps_between
from tests.factories import after, make_attempt

CENT = Decimal("0.01")
RUNS = 1_000
LONGEST_S = 6 * 3_600
"""Of one machine. The oracle looks at each of its seconds."""


# -- the oracle --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Life:
    """A machine as the oracle knows it: whole seconds since the start, prices in a list of (second, price)."""

    begins: int
    ends: int
    is_spot: bool
    taken_back: bool
    prices: tuple[tuple[int, Decimal], ...]
    on_demand: Decimal
    disk_gib: int


def oracle(lives: list[Life]) -> Fraction:
    """Add up each second's price, as fractions: no rounding anywhere."""
    total = Fraction(0)
    for life in lives:
        seconds = max(60, life.ends - life.begins)
        free = life.is_spot and life.taken_back and life.ends - life.begins < 3_600
        changes = dict(life.prices)
        price = Fraction(0)
        for second in range(min(changes), life.begins + seconds):
            price = Fraction(changes[second]) if second in changes else price
            if second >= life.begins and not free:
                total += price if life.is_spot else Fraction(life.on_demand)
        total += seconds * (Fraction(life.disk_gib) * Fraction(8, 100) / 730 + Fraction(5, 1_000))
    return total / 3_600


def a_run(chance: random.Random) -> list[Life]:
    """Draw a run: machines one after another, each with prices of its own that move every half hour or so."""
    lives: list[Life] = []
    at = 0
    for _ in range(chance.randint(1, 4)):
        begins = at + chance.randint(5, 600)
        lasts = int(min(LONGEST_S, chance.expovariate(1 / 4_000))) if chance.random() < 0.9 else chance.randint(0, 90)
        taken = chance.random() < 0.5
        on_demand = Decimal(chance.randint(100, 60_000)) / 1_000
        since = begins - chance.randint(0, 7_200)
        prices = [(since, on_demand * chance.randint(20, 100) / 100)]
        while prices[-1][0] < begins + lasts:
            moved = (
                on_demand * chance.randint(5, 400) / 100 if chance.random() < 0.05 else prices[-1][1] * Decimal("1.03")
            )
            prices.append((prices[-1][0] + chance.randint(60, 3_600), moved.quantize(Decimal("0.0001"))))
        is_spot = chance.random() < 0.8
        lives.append(
            Life(begins, begins + lasts, is_spot, taken, tuple(prices), on_demand, chance.choice([8, 100, 500]))
        )
        at = begins + lasts
    return lives


def attempts_of(lives: list[Life]) -> list[Attempt]:
    """The same run as the controller has it."""
    return [_attempt(number, life) for number, life in enumerate(lives, start=1)]


def _attempt(number: int, life: Life) -> Attempt:
    reason = SPOT_TERMINATION if life.taken_back and life.is_spot else "Client.UserInitiatedShutdown"
    gone = Fact(at=after(life.ends), data={"state": "terminated", "state_reason": reason, "state_message": ""})
    steps = tuple(PriceStep(since=after(second), usd_per_hour=price) for second, price in life.prices)
    attempt = make_attempt(
        number,
        launched_at=after(life.begins),
        gone_at=after(life.ends),
        purchase_option=PurchaseOption.SPOT if life.is_spot else PurchaseOption.ON_DEMAND,
        price_usd_per_hour=life.prices[0][1] if life.is_spot else life.on_demand,
        on_demand_usd_per_hour=life.on_demand,
        price_steps=steps if life.is_spot else (),
        disk_gib=life.disk_gib,
    )
    return attempt.model_copy(update={"facts": {FactKind.GONE: gone}})


# -- the comparison ----------------------------------------------------------------------------------------------


def test_the_cost_of_a_thousand_runs_is_the_oracles_to_the_cent() -> None:
    chance = random.Random(6)
    kinds = {"free": 0, "price changes": 0, "interrupted": 0}
    worst = Fraction(0)

    for _ in range(RUNS):
        lives = a_run(chance)
        metered = run_cost(attempts_of(lives), after(10**7)).accrued_usd
        worst = max(worst, abs(Fraction(metered) - oracle(lives)))
        kinds["free"] += any(life.is_spot and life.taken_back and life.ends - life.begins < 3_600 for life in lives)
        kinds["price changes"] += any(any(life.begins < at < life.ends for at, _ in life.prices) for life in lives)
        kinds["interrupted"] += any(life.taken_back for life in lives)

    assert worst < Fraction(CENT) / 2
    assert min(kinds.values()) > RUNS // 5


def test_a_machine_on_demand_costs_its_price_whatever_spot_does() -> None:
    life = Life(0, 7_200, False, False, ((0, Decimal("0.5")),), Decimal(2), 100)

    metered = run_cost(attempts_of([life]), after(9)).accrued_usd

    assert abs(Fraction(metered) - oracle([life])) < Fraction(CENT) / 100
    assert metered > 4


# -- the parts ---------------------------------------------------------------------------------------------------


def step(seconds: float, usd: str) -> PriceStep:
    return PriceStep(since=after(seconds), usd_per_hour=Decimal(usd))


def test_a_price_that_jumps_is_paid_from_the_jump_on() -> None:
    steps = (step(0, "1"), step(1_800, "10"))

    assert integral_usd(steps, after(0), after(3_600)) == Decimal("5.5")
    assert integral_usd(tuple(reversed(steps)), after(0), after(3_600)) == Decimal("5.5")


def test_the_first_known_price_holds_before_it_too() -> None:
    assert integral_usd((step(600, "1"),), after(0), after(3_600)) == Decimal(1)


def test_a_machine_of_no_known_price_has_no_cost() -> None:
    with pytest.raises(ValueError, match="without a price"):
        meter(MachineUse(after(0), None, ()), after(60))


def test_steps_are_kept_only_where_they_hold_and_change_something() -> None:
    steps = [step(-9_000, "3"), step(-60, "1"), step(100, "1"), step(200, "2"), step(9_000, "7")]

    assert steps_between(steps, after(0), after(3_600)) == (step(-60, "1"), step(200, "2"))


@given(
    st.lists(st.tuples(st.integers(-5_000, 9_000), st.integers(1, 90)), min_size=1, max_size=9), st.integers(1, 9_000)
)
def test_what_is_kept_of_the_steps_costs_the_same(drawn: list[tuple[int, int]], lasts: int) -> None:
    steps = tuple(step(at, str(usd)) for at, usd in dict(drawn).items())
    start, end = after(0), after(0) + timedelta(seconds=lasts)

    kept = steps_between(steps, start, end) or steps

    assert integral_usd(kept, start, end) == integral_usd(steps, start, end)
