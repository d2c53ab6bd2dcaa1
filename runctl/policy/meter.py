"""What one machine costs, by the second and by the price in force at each moment.

Sources: Amazon EC2 pricing (per-second billing, 60 seconds at least); Amazon EC2 User Guide, "Instance lifecycle"
(charging begins at `running` and ends at `shutting-down` and `stopping`) and "Billing for interrupted Spot Instances"
(nothing for one that EC2 ends in its first hour); Amazon EBS and Amazon VPC pricing. All is a pure function of what is
known; an end is EC2's word, never only ours.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from runctl.model.price import PriceStep
from runctl.model.run import DEFAULT_DISK_GIB
from runctl.policy.pauses import Pause
from runctl.policy.rates import DISK_USD_PER_GIB_HOUR, PUBLIC_ADDRESS_USD_PER_HOUR

MINIMUM: Final = timedelta(seconds=60)
FREE_WHEN_INTERRUPTED_WITHIN: Final = timedelta(hours=1)

_SECOND: Final = timedelta(seconds=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS_PER_HOUR: Final = Decimal(3_600_000_000)
_MICRODOLLAR: Final = Decimal("0.000001")


@dataclass(frozen=True)
class MachineUse:
    """A machine as far as its bill goes."""

    launched_at: datetime
    """EC2's launch time."""
    gone_at: datetime | None
    """When EC2 said `shutting-down`, or `stopping` of one that is not kept; None while it is charged."""
    steps: tuple[PriceStep, ...]
    """Prices by time, any order. Before the first the first holds."""
    on_demand_usd_per_hour: Decimal | None = None
    is_free: bool = False
    """Whether EC2 took the spot machine back within its first hour."""
    disk_gib: int = DEFAULT_DISK_GIB
    pauses: tuple[Pause, ...] = ()
    """When it was stopped, in order: its disk alone is charged then."""

    @property
    def is_stopped(self) -> bool:
        """Whether its disk alone costs now."""
        return bool(self.pauses) and self.pauses[-1].until is None


@dataclass(frozen=True)
class Part:
    """A piece of a machine's bill: the time between a start and a stop, or between a stop and a start."""

    begin: datetime
    end: datetime
    is_running: bool


@dataclass(frozen=True)
class Charge:
    """What a machine costs, in microdollars exact."""

    machine_usd: Decimal
    beside_usd: Decimal
    """Its disk and its public address."""
    on_demand_usd: Decimal | None
    """What the same seconds cost on demand, disk and address included; None when that price is not known."""

    @property
    def usd(self) -> Decimal:
        """All of it."""
        return self.machine_usd + self.beside_usd


def charged_span(launched_at: datetime, gone_at: datetime | None, now: datetime) -> timedelta:
    """For how long a machine is charged: whole seconds, a minute at least."""
    return max(MINIMUM, (gone_at or now) - launched_at) // _SECOND * _SECOND


def meter(use: MachineUse, now: datetime) -> Charge:
    """Tell what a machine has cost until its end, or until now. Raises ValueError when no price is known."""
    charges = [charge_of(use, part) for part in parts(use, now)]
    on_demand = [charge.on_demand_usd for charge in charges if charge.on_demand_usd is not None]
    return Charge(
        sum((charge.machine_usd for charge in charges), Decimal(0)),
        sum((charge.beside_usd for charge in charges), Decimal(0)),
        sum(on_demand, Decimal(0)) if len(on_demand) == len(charges) else None,
    )


def parts(use: MachineUse, now: datetime) -> tuple[Part, ...]:
    """Cut a machine's bill at its stops and starts; each start is charged a minute at least."""
    end = use.gone_at or now
    found: list[Part] = []
    started: datetime | None = use.launched_at
    for pause in use.pauses:
        if started is None or pause.since >= end:
            break
        until = min(end, pause.until or end)
        found.append(_running(started, pause.since, now))
        if until > found[-1].end:
            found.append(Part(found[-1].end, until, is_running=False))
        started = pause.until if pause.until is not None and pause.until < end else None
    if started is not None:
        found.append(_running(started, end, now))
    return tuple(found)


def charge_of(use: MachineUse, part: Part) -> Charge:
    """Tell what a piece of the bill comes to."""
    span = part.end - part.begin
    if not part.is_running:
        disk = usd_for(disk_usd_per_hour(use.disk_gib), span)
        return Charge(Decimal(0), disk, disk)
    beside = usd_for(beside_usd_per_hour(use.disk_gib), span)
    on_demand = None if use.on_demand_usd_per_hour is None else usd_for(use.on_demand_usd_per_hour, span) + beside
    machine = Decimal(0) if use.is_free else integral_usd(use.steps, part.begin, part.end)
    return Charge(machine, beside, on_demand)


def _running(begin: datetime, end: datetime, now: datetime) -> Part:
    return Part(begin, begin + charged_span(begin, end, now), is_running=True)


def meter_between(use: MachineUse, start: datetime, end: datetime) -> Decimal:
    """Tell what the time from `start` to `end` of a machine cost, disk and address included; nothing for none."""
    if end <= start:
        return Decimal(0)
    machine = Decimal(0) if use.is_free else integral_usd(use.steps, start, end)
    return machine + usd_for(beside_usd_per_hour(use.disk_gib), end - start)


def is_free_of_charge(*, is_spot: bool, taken_back: bool, launched_at: datetime, gone_at: datetime) -> bool:
    """Whether EC2 charges nothing for a machine: it took the spot machine back within its first hour."""
    return is_spot and taken_back and gone_at - launched_at < FREE_WHEN_INTERRUPTED_WITHIN


def beside_usd_per_hour(disk_gib: int) -> Decimal:
    """What an hour of a machine's disk and public address costs."""
    return disk_usd_per_hour(disk_gib) + PUBLIC_ADDRESS_USD_PER_HOUR


def disk_usd_per_hour(disk_gib: int) -> Decimal:
    """What an hour of a machine's disk costs, which is all of a stopped one: its address is given back."""
    return disk_gib * DISK_USD_PER_GIB_HOUR


def integral_usd(steps: Sequence[PriceStep], start: datetime, end: datetime) -> Decimal:
    """Add up price × time between two moments. Raises ValueError without a step."""
    if not steps:
        raise ValueError("a machine without a price has no cost")
    ordered = sorted(steps, key=lambda step: step.since)
    total = Decimal(0)
    for place, step in enumerate(ordered):
        begins = start if place == 0 else max(start, step.since)
        ends = end if place + 1 == len(ordered) else min(end, ordered[place + 1].since)
        if ends > begins:
            total += step.usd_per_hour * ((ends - begins) // _MICROSECOND)
    return _rounded(total / _MICROSECONDS_PER_HOUR)


def usd_for(usd_per_hour: Decimal, span: timedelta) -> Decimal:
    """What a time costs at one price."""
    return _rounded(usd_per_hour * (span // _MICROSECOND) / _MICROSECONDS_PER_HOUR)


def steps_between(steps: Iterable[PriceStep], start: datetime, end: datetime) -> tuple[PriceStep, ...]:
    """Keep what holds between two moments, in order, without steps that change nothing: the one in force at `start`,
    and the later ones."""
    ordered = sorted(steps, key=lambda step: step.since)
    before = [step for step in ordered if step.since <= start]
    kept = before[-1:]
    for step in ordered:
        if start < step.since < end and (not kept or kept[-1].usd_per_hour != step.usd_per_hour):
            kept.append(step)
    return tuple(kept)


def _rounded(usd: Decimal) -> Decimal:
    return usd.quantize(_MICRODOLLAR, rounding=ROUND_HALF_UP)
