"""Wait until the machine is reachable: keep the token, look, and answer at once when the answer is known."""

from datetime import datetime
from typing import Any

from runctl.controller.answers import answer_waiting
from runctl.controller.departures import record_departure
from runctl.controller.loading import load_attempt, load_open_run
from runctl.controller.moves import move
from runctl.controller.ports import Clock, Commands, Machines, RunStore, TaskTokens
from runctl.controller.ready import record_ready
from runctl.controller.stale import until_written
from runctl.errors import ConfigurationError
from runctl.model.attempt import Attempt, FactKind, Wait
from runctl.model.decision import StepState
from runctl.model.ids import InstanceId, TaskToken
from runctl.model.machine import MachineView
from runctl.model.status import RunStatus
from runctl.policy import sentences
from runctl.policy.facts import Departure


def await_ready(
    state: StepState,
    task_token: TaskToken,
    *,
    runs: RunStore,
    tokens: TaskTokens,
    machines: Machines,
    commands: Commands,
    now: Clock,
    turn: str = "",
) -> dict[str, Any]:
    """Store the token of `Wait for SSM`, then look at EC2 and SSM for what no event will say again.

    An invocation that a later one has overtaken (`turn`) does nothing.
    """
    run = load_open_run(runs, state.run_id)
    attempt = load_attempt(runs, run.run_id, state.current_attempt)
    if attempt.instance_id is None:
        raise ConfigurationError(f"Attempt {attempt.number} of run {run.run_id} has no machine to wait for.")
    at = now()
    if attempt.turn > turn:
        return {"run_id": run.run_id, "attempt": attempt.number, "answered": False, "overtaken": True}
    waiting = f"Waiting until the {sentences.machine(attempt)} is reachable through SSM."
    move(runs, run, RunStatus.WAITING_FOR_SSM, waiting, at)
    if not runs.store_token(run.run_id, attempt.number, Wait.READY, task_token, turn):
        return {"run_id": run.run_id, "attempt": attempt.number, "answered": False, "overtaken": True}
    answered = answer_waiting(run.run_id, attempt.number, runs=runs, tokens=tokens)
    if not answered and _look(attempt, attempt.instance_id, runs=runs, machines=machines, commands=commands, at=at):
        answered = answer_waiting(run.run_id, attempt.number, runs=runs, tokens=tokens)
    return {"run_id": run.run_id, "attempt": attempt.number, "answered": answered}


def _look(
    attempt: Attempt, instance_id: InstanceId, *, runs: RunStore, machines: Machines, commands: Commands, at: datetime
) -> bool:
    """Ask EC2 and SSM once; tells whether there is a new fact. An instance that EC2 does not show yet is not gone."""
    view = machines.machine(instance_id)
    if view is not None and view.state.is_going:
        return record_departure(runs, attempt, Departure.of_view(view), at)
    if view is not None and attempt.instance_type is None:
        attempt = _describe(runs, attempt, view)
    # SSM's agent may be online before the user data has brought ours: a machine of our own launch is ready when it
    # announces itself (`observe_agent` asks SSM then). A machine that was given has done all that long ago.
    is_launched_here = attempt.launch is not None
    if is_launched_here or FactKind.READY in attempt.facts or not commands.is_online(instance_id):
        return False
    return record_ready(runs, attempt, at)


def _describe(runs: RunStore, attempt: Attempt, view: MachineView) -> Attempt:
    """Keep what EC2 says of a machine that a user gave: no launch has told it."""
    update = {
        "instance_type": view.instance_type,
        "availability_zone": view.availability_zone,
        "purchase_option": view.purchase_option,
    }

    def write() -> Attempt:
        read = load_attempt(runs, attempt.run_id, attempt.number)
        return runs.save_attempt(read.model_copy(update=update))

    return until_written(write)
