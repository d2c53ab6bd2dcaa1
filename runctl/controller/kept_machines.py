"""Putting machines to rest that nothing trains on: by the regular look, and when a budget that stops all is used up."""

from collections.abc import Iterable
from datetime import datetime

from runctl.controller.conclusion import Concluding
from runctl.controller.departures import record_departure
from runctl.controller.limits import stop_at_limit
from runctl.controller.ports import Commands, Machines, RunStore, TaskTokens
from runctl.controller.timeline import event_of_run
from runctl.errors import RunctlError
from runctl.model.attempt import Attempt
from runctl.model.ids import InstanceId, RunId
from runctl.model.machine import MachineView
from runctl.model.names import Tag
from runctl.model.run import PurchaseOption
from runctl.model.timeline import TimelineKind
from runctl.policy.budget_limits import Reached
from runctl.policy.facts import Departure


def end_for_good(
    view: MachineView, run_id: RunId | None, text: str, *, runs: RunStore, machines: Machines, at: datetime
) -> None:
    """End a machine that nobody needs, and write so with the run that launched it."""
    machines.terminate(view.instance_id)
    if run_id is None:
        return
    told = event_of_run(run_id, TimelineKind.MACHINE_TERMINATED, at, text)
    runs.add_events([told.model_copy(update={"event_id": f"reaped-{view.instance_id}"})])
    owner = next((each for each in runs.attempts(run_id) if each.instance_id == view.instance_id), None)
    now_shown = machines.machine(view.instance_id)
    if owner is not None and now_shown is not None and now_shown.state.is_going:
        record_departure(runs, owner, Departure.of_view(now_shown), at)


def stop_kept(
    launchers: Iterable[Attempt],
    reached: Reached,
    ports: Concluding,
    *,
    tokens: TaskTokens,
    commands: Commands,
    at: datetime,
    by: str,
    faults: list[RunctlError],
) -> list[str]:
    """Stop kept machines, those of the attempts that launched them; a spot machine, which EC2 cannot stop, is ended.
    One that is busy lets its run save first, and is stopped at a later look. Answers a sentence for each stopped now.

    A machine that cannot be stopped does not keep the others from it: what it raised is added to `faults`.
    """
    machine_of = {each.instance_id: each for each in launchers if each.instance_id is not None}
    if not machine_of:
        return []
    deeds: list[str] = []
    for instance_id, view in sorted(ports.machines.views(machine_of).items()):
        if view.state.is_going or Tag.PROTECTED in view.tags:
            continue
        try:
            if _ask_its_run(instance_id, reached, ports, tokens=tokens, commands=commands, at=at, by=by):
                continue
            deeds.append(_rest(view, machine_of[instance_id].run_id, reached, ports, at))
        except RunctlError as fault:
            faults.append(fault)
    return deeds


def _ask_its_run(
    instance_id: InstanceId,
    reached: Reached,
    ports: Concluding,
    *,
    tokens: TaskTokens,
    commands: Commands,
    at: datetime,
    by: str,
) -> bool:
    """Ask the run on a machine, whoever's it is, to save and end; tells whether there is one."""
    newest = ports.runs.attempt_of_machine(instance_id)
    run = None if newest is None else ports.runs.run(newest[0])
    if run is None or run.status.is_terminal:
        return False
    if run.stop_request is None:
        stop_at_limit(run, reached, ports, tokens=tokens, commands=commands, at=at, by=by)
    return True


def _rest(view: MachineView, run_id: RunId, reached: Reached, ports: Concluding, at: datetime) -> str:
    machine = f"The machine {view.instance_id} ({view.instance_type})"
    if view.purchase_option is PurchaseOption.ON_DEMAND:
        ports.machines.stop(view.instance_id)
        return f"{machine} was stopped; its disk stays, and is paid for. {reached.text}"
    text = f"{machine} was ended, for EC2 stops no spot machine. {reached.text}"
    end_for_good(view, run_id, text, runs=ports.runs, machines=ports.machines, at=at)
    return text
