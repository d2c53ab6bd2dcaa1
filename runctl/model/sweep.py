"""One look of the reaper: what it saw, what it did, and which machines the next look ends."""

from typing import Annotated

from pydantic import Field

from runctl.model.base import Model, UtcDatetime, WireModel
from runctl.model.ids import InstanceId, RunId


class SweepRequest(WireModel):
    """What the reaper is invoked with: nothing by the schedule, `dry_run` or `confirmed` by a person."""

    dry_run: bool = False
    """Say what would be done, and do none of it."""
    confirmed: frozenset[InstanceId] = frozenset()
    """Machines that a person saw in a dry run and wants ended: that look counts as the first one."""


class Deed(Model):
    """Something that the reaper did, or in a dry run would have done."""

    run_id: RunId | None = None
    instance_id: InstanceId | None = None
    text: str
    """One sentence for people."""


class Sweep(Model):
    """What one look came to. The last one is kept: item `SWEEP / LAST` of the runs table."""

    at: UtcDatetime
    dry_run: bool = False
    machines: int = 0
    """How many machines of this deployment there were."""
    runs: int = 0
    """How many open runs there were."""
    strikes: dict[InstanceId, UtcDatetime] = {}
    """Machines that no run owns, and since when they have been seen so. The next look ends them."""
    deeds: tuple[Deed, ...] = ()
    upcoming: tuple[Deed, ...] = ()
    """What the next look does with the machines of `strikes`, if that is still so."""
    faults: tuple[str, ...] = ()
    """What could not be looked at or done, a sentence each."""
    version: Annotated[int, Field(ge=0)] = 0
    """Counts the looks that were kept; 0 is none."""
