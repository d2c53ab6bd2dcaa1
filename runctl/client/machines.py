"""Machines that somebody keeps: created without a training, trained on again and again, stopped, started and ended.

A kept machine is what a run leaves when it asks to keep its machine and ends well. Nothing more is stored of it: EC2
says how it stands, the run that launched it whose it is and until when, the newest run on it whether it is busy.
"""

import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from runctl.client.budgets import Budgets
from runctl.client.deployment import Deployment
from runctl.client.live_prices import with_live_prices
from runctl.client.preparing import PreparedProject, prepare
from runctl.client.spec import RunSpec
from runctl.errors import InvalidSpec, MachineNotReady, NotFoundError, QuotaExceeded
from runctl.model import timing
from runctl.model.ids import InstanceId, RunId
from runctl.model.machine import MachineState, MachineView
from runctl.model.names import Tag
from runctl.model.run import PurchaseOption, Run
from runctl.model.stop import StopCommand
from runctl.policy.cost import attempt_cost, usd_per_hour
from runctl.policy.pauses import may_rest, with_sighting

PATIENCE: Final = timedelta(minutes=10)
"""How long a machine is waited for. Amazon Linux answers SSM about a minute after its launch, a GPU machine after
three."""

_ENDING: Final = timedelta(minutes=3)
"""How long after its time to save a run may take to end: its training is ended after a minute of that, by a schedule
that EventBridge Scheduler fires within the next one (User Guide, "Schedule types in EventBridge Scheduler")."""

_PAUSE_S: Final = 1.0
_NOTE: Final = "This machine is kept by runctl.\n"
_CREATION_LIMIT_S: Final = 600


@dataclass(frozen=True)
class Machine:
    """A machine of ours, as EC2 and the table know it."""

    view: MachineView
    run: Run | None
    """The run that launched it."""
    last_run: Run | None
    """The newest run on it."""

    @property
    def instance_id(self) -> InstanceId:
        """EC2's id."""
        return self.view.instance_id

    @property
    def kept_until(self) -> datetime | None:
        """When the controller ends it; None for a machine that is not kept."""
        return None if self.run is None else self.run.kept_until

    @property
    def owner(self) -> str:
        """Who launched it."""
        return self.view.tags.get(Tag.USER, "") if self.run is None else self.run.user

    @property
    def busy_with(self) -> RunId | None:
        """The run that has it now."""
        return None if self.last_run is None or self.last_run.status.is_terminal else self.last_run.run_id

    @property
    def is_lent(self) -> bool:
        """Whether the run that has it now was given it, so that the machine outlives the run."""
        return self.busy_with is not None and self.last_run is not None and self.last_run.machine == self.instance_id


@dataclass(frozen=True)
class MachineCost:
    """What a machine costs; None where no price is known."""

    usd_per_hour: Decimal | None
    usd: Decimal | None
    """Since its launch."""


class Machines:
    """The machines of a deployment."""

    def __init__(
        self,
        deployment: Deployment,
        user: str,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._deployment = deployment
        self._user = user
        self._sleep = sleep
        self._now = now

    def find(self, instance_id: str) -> Machine:
        """Look at one machine. Raises NotFoundError when EC2 does not know it, or it is not of this deployment."""
        view = self._deployment.machines.machine(InstanceId(instance_id))
        if view is None or Tag.RUN not in view.tags:
            raise NotFoundError(
                f"There is no machine {instance_id} of runctl in {self._deployment.place.region}.",
                hint="List them with: runctl resources list",
            )
        return self._known(view)

    def all(self) -> tuple[Machine, ...]:
        """Look at all that have not ended, those of runs too."""
        return tuple(self._known(view) for view in self._deployment.machines.tagged_machines())

    def _known(self, view: MachineView) -> Machine:
        runs = self._deployment.runs
        newest = runs.attempt_of_machine(view.instance_id)
        return Machine(
            view, runs.run(RunId(view.tags.get(Tag.RUN, ""))), None if newest is None else runs.run(newest[0])
        )

    def cost(self, machine: Machine) -> MachineCost:
        """What a machine costs an hour, and has cost since it was launched, its disk while it was stopped included."""
        now = self._now()
        attempts = () if machine.run is None else self._deployment.runs.attempts(machine.run.run_id)
        launchers = [each for each in attempts if each.instance_id == machine.instance_id and each.launched_at]
        for attempt in with_live_prices(launchers, self._deployment.prices, now):
            seen = with_sighting(attempt, machine.view, now) if may_rest(attempt) else attempt
            return MachineCost(usd_per_hour(seen) if seen.owns_live_machine else Decimal(0), attempt_cost(seen, now))
        return MachineCost(None, None)

    def check_room(self, most: int) -> int:
        """Count the machines; raises QuotaExceeded when another one would be more than our own limit."""
        count = sum(1 for _ in self._deployment.machines.tagged_machines())
        if count >= most:
            raise QuotaExceeded(
                f"Nothing was created: there are {count} machines, and the limit is {most}.",
                hint=f"End some (runctl resources list), or raise it: runctl config set machines.most {count + 10}",
            )
        return count

    def is_online(self, instance_id: InstanceId) -> bool:
        """Whether SSM answers for it."""
        return self._deployment.commands.is_online(instance_id)

    def wait(
        self,
        instance_id: str,
        *,
        online: bool,
        patience: timedelta = PATIENCE,
        on_look: Callable[[Machine], None] = lambda _: None,
    ) -> Machine:
        """Look until it runs, or with `online` until SSM answers. Raises MachineNotReady when it ends, is stopped, or
        does not come up in time."""
        waited_s = 0.0
        while True:
            machine = self.find(instance_id)
            on_look(machine)
            state = machine.view.state
            if state.is_going:
                raise MachineNotReady(
                    f"The machine {instance_id} is {state}: it does not come up.",
                    hint=f"Start a stopped one with: runctl aws start {instance_id}",
                )
            if state is MachineState.RUNNING and (not online or self.is_online(machine.instance_id)):
                return machine
            if waited_s >= patience.total_seconds():
                seen = "it runs, but SSM does not answer" if state is MachineState.RUNNING else f"it is {state}"
                raise MachineNotReady(
                    f"The machine {instance_id} did not come up in {patience.total_seconds():.0f} s: {seen}.",
                    hint=f"Look at its console with: aws ec2 get-console-output --instance-id {instance_id}",
                )
            self._sleep(_PAUSE_S)
            waited_s += _PAUSE_S

    def check_trainable(self, instance_id: str) -> Machine:
        """See that a run may train on it now. Raises MachineNotReady and InvalidSpec, each with what to do."""
        machine = self.find(instance_id)
        if machine.busy_with is not None:
            raise InvalidSpec(
                f"The machine {instance_id} is busy with run {machine.busy_with}.",
                hint=f"Wait for it: runctl wait {machine.busy_with}; or: runctl cancel {machine.busy_with}",
            )
        if machine.view.state is MachineState.STOPPED:
            raise MachineNotReady(
                f"The machine {instance_id} is stopped.", hint=f"Start it with: runctl aws start {instance_id}"
            )
        if machine.view.state is not MachineState.RUNNING or not self.is_online(machine.instance_id):
            raise MachineNotReady(
                f"SSM does not answer for the machine {instance_id} yet; it does one to three minutes after a start.",
                hint=f"Wait for it with: runctl aws wait-ssm {instance_id}",
            )
        return machine

    def start(self, instance_id: str) -> Machine:
        """Start a stopped machine; one that runs stays as it is.

        Raises MachineNotReady for one that has ended, BudgetExceeded when a budget has no room for the hour after which
        an idle one is stopped.
        """
        machine = self.find(instance_id)
        if machine.view.state.is_final:
            raise MachineNotReady(f"The machine {instance_id} has ended; EC2 does not start it again.")
        if machine.view.state is MachineState.STOPPED:
            self._require_room(machine)
            self._deployment.machines.start(machine.instance_id)
        return machine

    def _require_room(self, machine: Machine) -> None:
        """Ask the budgets that pay for the machine: its owner's and its project's, whoever starts it."""
        if machine.run is None:
            return
        attempts = self._deployment.runs.attempts(machine.run.run_id)
        launchers = [each for each in attempts if each.instance_id == machine.instance_id]
        running = [each.model_copy(update={"stops": (), "restarts": ()}) for each in launchers]
        rate = next(
            (usd_per_hour(each) for each in with_live_prices(running, self._deployment.prices, self._now())), None
        )
        budgets = Budgets(self._deployment.budgets, user=machine.run.user, project=machine.run.project, now=self._now)
        hours = Decimal(timing.KEPT_IDLE_LIMIT // timedelta(hours=1))
        budgets.require_room(machine.run.project, None if rate is None else rate * hours)

    def check_stoppable(self, instance_id: str) -> Machine:
        """See that EC2 stops the machine. Raises InvalidSpec for a spot machine, and for one that its run will end."""
        machine = self.find(instance_id)
        if machine.view.purchase_option is PurchaseOption.SPOT:
            raise InvalidSpec(
                f"The machine {instance_id} is a spot machine: EC2 stops none that was asked for once.",
                hint=f"End it with: runctl aws terminate {instance_id}; create one to keep without --spot",
            )
        if machine.busy_with is not None and not machine.is_lent:
            raise InvalidSpec(
                f"The machine {instance_id} is run {machine.busy_with}'s own, and ends with it: it cannot be kept.",
                hint=f"Let the run save and end, and its machine with it: runctl cancel {machine.busy_with}",
            )
        return machine

    def free(self, instance_id: str, *, at_once: bool = False) -> Machine:
        """Let the run that trains on a machine save and end, and wait for its end; `at_once` does not let it save.

        Raises MachineNotReady when it does not end in the time that it has.
        """
        machine = self.find(instance_id)
        if machine.busy_with is None or machine.last_run is None:
            return machine
        run = machine.last_run
        self._deployment.stopper.stop(StopCommand(run_id=run.run_id, requested_by=self._user, now=at_once))
        patience = _ENDING + (timedelta() if at_once else timedelta(seconds=run.spec.save_limit_s))
        waited_s = 0.0
        while (found := self._deployment.runs.run(run.run_id)) is not None and not found.status.is_terminal:
            if waited_s >= patience.total_seconds():
                raise MachineNotReady(
                    f"Run {run.run_id} was asked to save and end, and has not ended in {waited_s:.0f} s; "
                    f"the machine {instance_id} was left as it is.",
                    hint=f"See how it stands: runctl status {run.run_id}; then give the command again",
                )
            self._sleep(_PAUSE_S)
            waited_s += _PAUSE_S
        return self.find(instance_id)

    def stop(self, instance_id: str) -> Machine:
        """Stop a machine that nothing trains on; its disk stays, and is paid for. Raises InvalidSpec for a spot machine
        and for one that is busy."""
        machine = self.check_stoppable(instance_id)
        self._refuse_while_busy(machine)
        if machine.view.state in (MachineState.PENDING, MachineState.RUNNING):
            self._deployment.machines.stop(machine.instance_id)
        return machine

    def terminate(self, instance_id: str) -> Machine:
        """End a machine that nothing trains on, and its disk with it. Raises InvalidSpec for one that is busy."""
        machine = self.find(instance_id)
        self._refuse_while_busy(machine)
        if not machine.view.state.is_final:
            self._deployment.machines.terminate(machine.instance_id)
        return machine

    def _refuse_while_busy(self, machine: Machine) -> None:
        if machine.busy_with is not None:
            raise InvalidSpec(
                f"Run {machine.busy_with} trains on the machine {machine.instance_id}.",
                hint=f"Let it save and end first: runctl cancel {machine.busy_with}",
            )


@contextmanager
def creation(
    instance_types: tuple[str, ...],
    option: PurchaseOption,
    *,
    keep_for: timedelta = timing.KEPT_FOR,
    disk_gib: int | None = None,
    instance_profile: str | None = None,
    name: str = "machine",
    project: str | None = None,
) -> Generator[PreparedProject]:
    """Prepare a run that launches a machine, sees that it can train, and keeps it."""
    with tempfile.TemporaryDirectory(prefix="runctl-") as folder:
        (Path(folder) / "README.txt").write_text(_NOTE)
        yield prepare(
            RunSpec(
                command=("true",),
                instance_types=instance_types,
                purchase_option=option,
                disk_gib=disk_gib,
                instance_profile=instance_profile,
                max_runtime_s=_CREATION_LIMIT_S,
                keep_machine_s=round(keep_for.total_seconds()),
                project_dir=Path(folder),
                project=project,
                name=name,
            )
        )
