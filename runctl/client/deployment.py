"""What the client needs of a deployment, as Protocols. `runctl.store` and `runctl.aws` implement them with boto3.

Every method raises errors of `runctl.errors` only.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from runctl.aws.results import LeftHistory, Output
from runctl.aws.sessions import Session
from runctl.aws.subscriptions import Subscription
from runctl.aws.training_log import LogPage
from runctl.client.code_sync import CodeBucket
from runctl.client.place import Place
from runctl.errors import RunctlError
from runctl.model.attempt import Attempt
from runctl.model.budget import Budget, BudgetPeriod, Scope
from runctl.model.budget import Ledger as BudgetLedger
from runctl.model.checkpoint import Manifest
from runctl.model.dead_letter import DeadLetter
from runctl.model.decision import ExecutionInput
from runctl.model.figures import Figures
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.machine import MachineType, MachineView
from runctl.model.price import Price, PriceStep, Spending
from runctl.model.run import PurchaseOption, Run
from runctl.model.stop import StopAnswer, StopCommand
from runctl.model.sweep import Sweep, SweepRequest
from runctl.model.timeline import TimelineEvent


class RunTable(Protocol):
    """The runs table, as far as a person reads it, and what submitting a run writes."""

    def run(self, run_id: RunId) -> Run | None:
        """Read a run; None only when there is no such item."""
        ...

    def attempts(self, run_id: RunId) -> tuple[Attempt, ...]:
        """Read all attempts of a run, first to last."""
        ...

    def events(self, run_id: RunId) -> tuple[TimelineEvent, ...]:
        """Read the timeline, oldest first."""
        ...

    def runs_of_project(self, project: str, limit: int, user: str | None = None) -> tuple[Run, ...]:
        """Read a project's newest runs, newest first (index: eventually consistent)."""
        ...

    def open_runs(self) -> Iterator[Run]:
        """Go through all runs that have not ended, of every project (index: eventually consistent)."""
        ...

    def unsettled_attempts(self) -> Iterator[Attempt]:
        """Go through all attempts whose machine's cost is not final (index: eventually consistent)."""
        ...

    def attempt_of_machine(self, instance_id: InstanceId) -> tuple[RunId, AttemptNumber] | None:
        """Find the newest attempt on a machine (index: eventually consistent); None for strangers."""
        ...

    def create_run(self, run: Run, events: Sequence[TimelineEvent] = ()) -> None:
        """Write a new run. Raises StaleWriteError when the id is taken."""
        ...

    def save_run(self, run: Run, events: Sequence[TimelineEvent] = ()) -> Run:
        """Replace the run that was read as `run.version`. Raises StaleWriteError when somebody else wrote first."""
        ...


class Executions(Protocol):
    """Step Functions."""

    def start(self, run_id: RunId, execution_input: ExecutionInput) -> str:
        """Start the execution that is named by the run id, once; answers its ARN."""
        ...


class Stopper(Protocol):
    """The function `stop_run`."""

    def stop(self, command: StopCommand) -> StopAnswer:
        """Ask a run to save and end."""
        ...


class Letters(Protocol):
    """The dead-letter queue."""

    def letters(self) -> tuple[DeadLetter, ...]:
        """Read all that lies there, the oldest first, and leave it there."""
        ...

    def send_again(self, wanted: Collection[str]) -> Iterator[tuple[DeadLetter, RunctlError | None]]:
        """Hand these to the functions they were for; answer each, deleted when it was accepted, or with the fault."""
        ...


class Reaper(Protocol):
    """The function `reap_machines`."""

    def sweep(self, request: SweepRequest) -> Sweep:
        """Look once for what nobody owns."""
        ...


class MachineTypes(Protocol):
    """EC2's catalogue."""

    def machine_types(self, names: Iterable[str]) -> tuple[MachineType, ...]:
        """Describe instance types, in the order given. Raises InvalidSpec that names one EC2 does not know."""
        ...

    def offered_types(self, option: PurchaseOption) -> Iterable[MachineType]:
        """Describe all types that a training may be put on unnamed."""
        ...


class Ec2(Protocol):
    """EC2's machines."""

    def machine(self, instance_id: InstanceId) -> MachineView | None:
        """Describe one instance; None when EC2 does not know it."""
        ...

    def tagged_machines(self) -> Iterator[MachineView]:
        """Describe all instances of ours that have not ended, all pages."""
        ...

    def start(self, instance_id: InstanceId) -> None:
        """Ask EC2 to start a stopped instance again."""
        ...

    def stop(self, instance_id: InstanceId) -> None:
        """Ask EC2 to stop an on-demand instance; its disk stays."""
        ...

    def terminate(self, instance_id: InstanceId) -> None:
        """Ask EC2 to end an instance; one that is gone already is fine."""
        ...


class Ssm(Protocol):
    """Systems Manager."""

    def is_online(self, instance_id: InstanceId) -> bool:
        """Whether SSM says `PingStatus=Online`."""
        ...


class Entering(Protocol):
    """Session Manager."""

    def shell(self, instance_id: InstanceId) -> Session:
        """Begin a session for a shell."""
        ...

    def forwarding(self, instance_id: InstanceId, local_port: int, remote_port: int) -> Session:
        """Begin a session that brings a port of the machine here."""
        ...

    def end(self, session_id: str) -> None:
        """End a session; one that has ended already is fine."""
        ...


class Prices(Protocol):
    """What machines cost."""

    def on_demand(self, instance_type: str) -> Price | None:
        """On-demand price of an hour, the same in every zone; None when it is not known."""
        ...

    def spot_by_zone(self, instance_type: str) -> Mapping[str, Price]:
        """Spot prices of an hour now in each Availability Zone that has the type."""
        ...

    def spot_steps(
        self, instance_types: Iterable[str], since: datetime
    ) -> Mapping[tuple[str, str], tuple[PriceStep, ...]]:
        """How spot prices moved since a moment, by type and Availability Zone, the price in force then included."""
        ...


class Ledger(Protocol):
    """What is added up of money, in the runs table."""

    def spendings(self, first: date, last: date) -> Iterable[Spending]:
        """The machines settled that ended from one day to another, both included, oldest first."""
        ...

    def figures(self) -> Figures | None:
        """What the cost watch saw last; None before its first look."""
        ...


class BudgetTable(Protocol):
    """The budgets table, as far as a person reads it and sets budgets."""

    def ledger(self, scope: Scope) -> BudgetLedger | None:
        """Read a scope's ledger; None when nothing was booked and no budget set."""
        ...

    def ledgers(self) -> Iterable[BudgetLedger]:
        """Read all ledgers."""
        ...

    def set_budget(
        self, read: BudgetLedger, period: BudgetPeriod, budget: Budget | None, *, is_new: bool = False
    ) -> bool:
        """Set a budget, or remove it, on the ledger as it was read; False when somebody changed it meanwhile."""
        ...


class Subscribing(Protocol):
    """The topic's subscriptions."""

    def add(self, protocol: str, endpoint: str) -> Subscription:
        """Let somebody hear; adding twice is fine."""
        ...

    def all(self) -> tuple[Subscription, ...]:
        """All of them."""
        ...

    def remove(self, endpoint: str) -> int:
        """Let an endpoint hear no more; answers how many subscriptions it had."""
        ...


class TrainingLogs(Protocol):
    """CloudWatch Logs: one stream an attempt."""

    def page(self, stream: str, token: str | None) -> LogPage:
        """Read on from `token`, or from the start; a stream that is not there yet is empty."""
        ...

    def tail(self, stream: str, lines: int) -> LogPage:
        """Read the last lines, and the token to follow from."""
        ...


class Results(Protocol):
    """The bucket's `runs/` prefix."""

    def manifests(self, run_id: RunId) -> tuple[Manifest, ...]:
        """Read the manifests of the run's complete checkpoints."""
        ...

    def outputs(self, run_id: RunId) -> tuple[Output, ...]:
        """Read the listings of the attempts' outputs."""
        ...

    def histories(self, run_id: RunId) -> tuple[LeftHistory, ...]:
        """Read the histories of the attempts' figures."""
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """Read an object in chunks."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects, in this order; one that is gone already is fine."""
        ...


class Deployment(Protocol):
    """A deployed stack as the client reaches it."""

    @property
    def place(self) -> Place:
        """Account and Region."""
        ...

    @property
    def instance_profiles(self) -> str:
        """What runs may name as their instance profile: `name:role id`, separated by commas, the stack's own first."""
        ...

    @property
    def data_buckets(self) -> tuple[str, ...]:
        """Buckets that machines may read, named at deployment."""
        ...

    @property
    def runs(self) -> RunTable:
        """The runs table."""
        ...

    @property
    def machines(self) -> Ec2:
        """EC2."""
        ...

    @property
    def commands(self) -> Ssm:
        """Systems Manager."""
        ...

    @property
    def sessions(self) -> Entering:
        """Session Manager."""
        ...

    @property
    def executions(self) -> Executions:
        """Step Functions."""
        ...

    @property
    def code(self) -> CodeBucket:
        """The bucket's `code/` prefix."""
        ...

    @property
    def stopper(self) -> Stopper:
        """The function `stop_run`."""
        ...

    @property
    def reaper(self) -> Reaper:
        """The function `reap_machines`."""
        ...

    @property
    def dead_letters(self) -> Letters:
        """The dead-letter queue."""
        ...

    @property
    def machine_types(self) -> MachineTypes:
        """EC2's catalogue."""
        ...

    @property
    def prices(self) -> Prices:
        """What machines cost."""
        ...

    @property
    def ledger(self) -> Ledger:
        """The runs table's sums."""
        ...

    @property
    def budgets(self) -> BudgetTable:
        """The budgets table."""
        ...

    @property
    def subscriptions(self) -> Subscribing:
        """Who hears what is told."""
        ...

    @property
    def logs(self) -> TrainingLogs:
        """What trainings printed."""
        ...

    @property
    def results(self) -> Results:
        """What runs left behind."""
        ...
