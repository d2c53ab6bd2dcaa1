"""Machines by their tags against the table: those that no run owns are ended at the second look."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from runctl.controller.kept_machines import end_for_good
from runctl.controller.ports import Machines, RunStore
from runctl.errors import RunctlError
from runctl.model.attempt import Attempt
from runctl.model.ids import InstanceId, RunId
from runctl.model.machine import MachineView
from runctl.model.names import Tag
from runctl.model.run import Run
from runctl.model.sweep import Deed
from runctl.policy.reaping import Judgement, Sighting, Verdict, judge


@dataclass
class Strays:
    """What a look at all machines came to."""

    seen: int = 0
    strikes: dict[InstanceId, datetime] = field(default_factory=dict[InstanceId, datetime])
    deeds: list[Deed] = field(default_factory=list[Deed])
    upcoming: list[Deed] = field(default_factory=list[Deed])
    faults: list[RunctlError] = field(default_factory=list[RunctlError])


def end_strays(
    struck: Mapping[InstanceId, datetime],
    *,
    runs: RunStore,
    machines: Machines,
    stack_name: str,
    dry_run: bool,
    at: datetime,
    confirmed: Collection[InstanceId] = (),
) -> Strays:
    """Look at every machine with our tags, page after page. One that cannot be ended keeps no other from it.

    A machine in `confirmed` needs no second look.
    """
    found = Strays()
    for view in machines.tagged_machines():
        found.seen += view.tags.get(Tag.STACK) == stack_name
        struck_at = struck.get(view.instance_id)
        try:
            is_confirmed = view.instance_id in confirmed
            run, judgement = _judged(view, struck_at, runs, stack_name, at, is_confirmed=is_confirmed)
            if judgement.verdict in (Verdict.STRIKE, Verdict.END):
                found.strikes[view.instance_id] = struck_at or at
            if judgement.verdict is Verdict.KEEP:
                continue
            stops = judgement.verdict is Verdict.STOP
            deed = _deed(view, run, judgement, is_done=not dry_run and judgement.verdict is not Verdict.STRIKE)
            if judgement.verdict is Verdict.STRIKE:
                found.upcoming.append(deed)
                continue
            if not dry_run and stops:
                machines.stop(view.instance_id)
            elif not dry_run:
                end_for_good(view, deed.run_id, deed.text, runs=runs, machines=machines, at=at)
        except RunctlError as fault:
            if struck_at is not None:
                # What could not be looked at is where it was.
                found.strikes[view.instance_id] = struck_at
            found.faults.append(fault)
        else:
            found.deeds.append(deed)
    return found


def _deed(view: MachineView, run: Run | None, judgement: Judgement, *, is_done: bool) -> Deed:
    """Say in one sentence what becomes, or became, of a machine."""
    done = "stopped" if judgement.verdict is Verdict.STOP else "ended"
    when = "was" if is_done else "is to be"
    text = f"The machine {view.instance_id} ({view.instance_type}) {when} {done}, for {judgement.why}."
    return Deed(run_id=None if run is None else run.run_id, instance_id=view.instance_id, text=text)


def _judged(
    view: MachineView,
    struck_at: datetime | None,
    runs: RunStore,
    stack_name: str,
    at: datetime,
    *,
    is_confirmed: bool,
) -> tuple[Run | None, Judgement]:
    """Read what the table knows of a machine, and judge it."""
    run_id = RunId(view.tags.get(Tag.RUN, ""))
    run = runs.run(run_id)
    attempts = () if run is None or run.status.is_terminal else runs.attempts(run_id)
    sighting = Sighting(view, run, attempts, struck_at, is_confirmed)
    if sighting.is_kept:
        sighting = replace(sighting, last_use=_last_use(view.instance_id, runs))
    return run, judge(sighting, stack_name, at)


def _last_use(instance_id: InstanceId, runs: RunStore) -> tuple[Run, Attempt] | None:
    """Find the newest run on a machine, and its attempt there."""
    newest = runs.attempt_of_machine(instance_id)
    if newest is None:
        return None
    run, attempt = runs.run(newest[0]), runs.attempt(*newest)
    return None if run is None or attempt is None else (run, attempt)
