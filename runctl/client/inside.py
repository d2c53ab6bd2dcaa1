"""Getting into the machine of a run."""

from dataclasses import dataclass

from runctl.client.deployment import Deployment
from runctl.errors import MachineNotReady
from runctl.model.attempt import Attempt
from runctl.model.ids import InstanceId
from runctl.model.machine import MachineState
from runctl.model.run import Run


@dataclass(frozen=True)
class Inside:
    """A machine that can be entered, and where the project lies on it."""

    instance_id: InstanceId
    project: str
    """Below `RUNCTL_ROOT`."""


def machine_to_enter(deployment: Deployment, run: Run, attempts: tuple[Attempt, ...]) -> Inside:
    """Choose the newest machine of the run that runs and that SSM answers for. Raises MachineNotReady, with what to
    do."""
    with_machine = [attempt for attempt in attempts if attempt.instance_id is not None]
    if not with_machine:
        raise MachineNotReady(
            f"The run {run.run_id} has no machine yet: it is {run.status.value}.",
            hint=f"See what it waits for with: runctl status {run.run_id}",
        )
    attempt = with_machine[-1]
    instance_id = InstanceId(str(attempt.instance_id))
    view = deployment.machines.machine(instance_id)
    if view is None or view.state is not MachineState.RUNNING:
        state = "gone" if view is None else view.state.value
        raise MachineNotReady(
            f"The machine {instance_id} of run {run.run_id} is {state}: it cannot be entered.",
            hint=f"What it left is fetched with: runctl download {run.run_id} --logs",
        )
    if not deployment.commands.is_online(instance_id):
        raise MachineNotReady(
            f"SSM does not answer for the machine {instance_id} yet; it does one to three minutes after a launch.",
            hint=f"Wait for it with: runctl aws wait-ssm {instance_id}",
        )
    return Inside(instance_id, f"runs/{attempt.run_id}/attempt-{attempt.number}/code")
