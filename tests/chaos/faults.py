"""What goes wrong in a story: drawn from its seed, a few kinds at a time, so that each kind is met alone as well."""

import random
from dataclasses import dataclass, field, fields
from typing import Any

CALM_AFTER_S = 4 * 3_600.0
"""From here on nothing new goes wrong, so that whatever has gone wrong must come to a good end."""


@dataclass(frozen=True)
class Faults:
    """How likely each kind of fault is; all are zero in a quiet world."""

    # -- functions and the services that they call
    killed: float = 0.0
    """A function dies before or after a call."""
    refused: float = 0.0
    """A call is throttled, or AWS does not answer and has done nothing."""
    unanswered: float = 0.0
    """A call does its work and its answer is lost."""
    slow: float = 0.0
    """A call takes seconds, in which the rest of the world goes on."""
    crowded: float = 0.0
    """An invocation finds no concurrency left."""
    # -- events
    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    """An event takes up to ten minutes, and is overtaken by others."""
    # -- machines
    interrupted: float = 0.0
    """EC2 takes a spot machine back."""
    unwarned: float = 0.0
    """No warning comes to the machine itself."""
    dies_in_notice: float = 0.0
    stays: float = 0.0
    """EC2 warned, and does not take the machine."""
    vanishes: float = 0.0
    """A machine dies, and EC2 says why or does not."""
    silent: float = 0.0
    """A machine loses its network, for a while or for ever."""
    never_ready: float = 0.0
    """SSM never hears of a machine, or its agent does not come up."""
    command_fails: float = 0.0
    wrong_clock: float = 0.0
    """A machine's clock is minutes off."""
    hidden: float = 0.0
    """EC2 does not show a new machine for a while."""
    slow_goodbye: float = 0.0
    """EC2 takes its time before it says that a machine is going."""
    leftover: float = 0.0
    """A machine of no run is there: one to be ended, or one to be left alone."""
    dies_pending: float = 0.0
    """EC2 lets a machine go before it ran, for want of capacity."""
    # -- capacity
    no_capacity: float = 0.0
    """A stretch of time in which a type, or every type, is not to be had."""
    small_quota: float = 0.0
    """The account has room for one machine only."""
    # -- people, and what they wrote
    cancels: float = 0.0
    aborts: float = 0.0
    """Somebody stops the execution in the console."""
    times_out: float = 0.0
    """The execution reaches its own limit."""
    deletes: float = 0.0
    """Somebody ends the machine by hand."""
    client_dies: float = 0.0
    """The laptop is closed between writing the run and starting its execution."""
    bad_script: float = 0.0


SIZES: dict[str, tuple[float, ...]] = {
    "killed": (0.003, 0.02),
    "refused": (0.003, 0.03),
    "unanswered": (0.003, 0.02),
    "slow": (0.02, 0.15),
    "crowded": (0.05, 0.4),
    "lost": (0.05, 0.3, 0.9),
    "doubled": (0.1, 0.6),
    "late": (0.1, 0.5),
    "wrong_clock": (1.0,),
}
"""How strong a kind is where it is on; 0.3 or 0.8 for those that are not named."""

USUAL = ("interrupted", "slow", "cancels", "wrong_clock")
"""Kinds that are on more often than others: what happens most, what lets two things happen at once, and what is seldom
seen by its effects alone."""


def draw(chance: random.Random) -> Faults:
    """Choose a story's faults: none in some, one kind in many, several in most."""
    names = [each.name for each in fields(Faults)]
    kinds = chance.choice((0, 1, 1, 2, 3, 4, 6, 9))
    drawn: dict[str, Any] = {}
    usual = [name for name in USUAL if kinds and chance.random() < 0.3]
    for name in usual + chance.sample(names, kinds):
        drawn[name] = chance.choice(SIZES.get(name, (0.3, 0.8)))
    return Faults(**drawn)


@dataclass
class Weather:
    """The faults as they are now: a quiet world from CALM_AFTER_S on."""

    faults: Faults
    chance: random.Random
    calm_after_s: float = CALM_AFTER_S
    met: dict[str, int] = field(default_factory=dict[str, int])

    def strikes(self, kind: str, now: float) -> bool:
        """Whether a fault of this kind happens now. What cannot happen draws no number."""
        likely: float = getattr(self.faults, kind)
        if likely == 0.0 or now > self.calm_after_s or self.chance.random() >= likely:
            return False
        self.met[kind] = self.met.get(kind, 0) + 1
        return True

    def told(self) -> str:
        """The kinds that are on, in words."""
        on = {each.name: getattr(self.faults, each.name) for each in fields(Faults)}
        return ", ".join(f"{name} {value:g}" for name, value in on.items() if value) or "none"
