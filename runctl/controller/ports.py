"""What the controller needs of the world, as Protocols. `runctl.store` and `runctl.aws` implement them with boto3.

Every method raises errors of `runctl.errors` only; a missing permission is never an empty answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from runctl.model.attempt import Attempt, Fact, FactKind, Wait
from runctl.model.budget import Booking, Budget, BudgetPeriod, Ledger, Reservation, Scope
from runctl.model.checkpoint import Manifest
from runctl.model.figures import Figures
from runctl.model.ids import AttemptNumber, InstanceId, RunId, TaskToken
from runctl.model.job import AgentJob, HandOver, Limits, LinkedFile, ReplacementReady
from runctl.model.machine import FleetAnswer, MachineType, MachineView, Subnet
from runctl.model.names import Metric
from runctl.model.price import Price, PriceStep, Settlement, Spending
from runctl.model.run import CheckpointRef, Progress, PurchaseOption, Run, StopRequest
from runctl.model.service_events import ExecutionStatus
from runctl.model.slack import SlackAnswer, SlackMessage
from runctl.model.sweep import Sweep
from runctl.model.timeline import TimelineEvent


class BudgetStore(Protocol):
    """The budgets table. Reads are strongly consistent; every write is conditional and changes all or nothing."""

    def ledger(self, scope: Scope) -> Ledger | None:
        """Read a scope's ledger; None when nothing was booked and no budget set."""
        ...

    def ledgers(self) -> tuple[Ledger, ...]:
        """Read all ledgers."""
        ...

    def reservation(self, run_id: RunId) -> Reservation | None:
        """Read what is held for a run; None before its admission and after all was paid."""
        ...

    def reservations(self) -> Iterator[Reservation]:
        """Go through all reservations."""
        ...

    def write(self, booking: Booking) -> bool:
        """Move money; False when the table is not as the booking expects."""
        ...

    def set_budget(self, read: Ledger, period: BudgetPeriod, budget: Budget | None, *, is_new: bool = False) -> bool:
        """Set a budget, or remove it, on the ledger as it was read, or on a new one; False when somebody changed it
        meanwhile."""
        ...

    def mark_told(self, scope: Scope, period: BudgetPeriod, start: datetime, told: tuple[int, ...]) -> bool:
        """Write which thresholds people were told of in this period; False when they were, or it is over."""
        ...


class RunStore(Protocol):
    """The runs table. Reads are strongly consistent but for the two that go by an index; every write is conditional.

    `version` counts all writes to an item, the narrow ones below too, so that a whole-item save never undoes one.
    """

    @property
    def budgets(self) -> BudgetStore:
        """The budgets, which are written together with runs."""
        ...

    def run(self, run_id: RunId) -> Run | None:
        """Read a run; None only when there is no such item."""
        ...

    def attempt(self, run_id: RunId, number: AttemptNumber) -> Attempt | None:
        """Read an attempt; None only when there is no such item."""
        ...

    def attempts(self, run_id: RunId) -> tuple[Attempt, ...]:
        """Read all attempts of a run, first to last."""
        ...

    def events(self, run_id: RunId) -> tuple[TimelineEvent, ...]:
        """Read the timeline, oldest first."""
        ...

    def attempt_of_machine(self, instance_id: InstanceId) -> tuple[RunId, AttemptNumber] | None:
        """Find the newest attempt that a machine belongs to (index: eventually consistent); None for strangers."""
        ...

    def open_runs(self) -> Iterator[Run]:
        """Go through all runs that have not ended (index: eventually consistent), page after page."""
        ...

    def unsettled_attempts(self) -> Iterator[Attempt]:
        """Go through all attempts whose machine's cost is not final (index: eventually consistent), page after page."""
        ...

    def claim_machine(self, instance_id: InstanceId, run_id: RunId, *, held_by: RunId | None = None) -> RunId:
        """Take a kept machine for a run: one that no run has, or that `held_by` has; answers who has it now."""
        ...

    def create_run(self, run: Run, events: Sequence[TimelineEvent] = ()) -> None:
        """Write a new run. Raises StaleWriteError when the id is taken."""
        ...

    def save_run(self, run: Run, events: Sequence[TimelineEvent] = (), *, booking: Booking | None = None) -> Run:
        """Replace the run that was read as `run.version`, with its events and its money, in one transaction.

        Answers the run as written (version + 1). Raises StaleWriteError when somebody else wrote first or when the
        stored run has ended: terminal states never change.
        """
        ...

    def save_attempt(self, attempt: Attempt, events: Sequence[TimelineEvent] = ()) -> Attempt:
        """Replace the attempt that was read as `attempt.version`. Raises StaleWriteError as `save_run`."""
        ...

    def begin_attempt(
        self, run: Run, attempt: Attempt, events: Sequence[TimelineEvent] = (), *, booking: Booking | None = None
    ) -> Run:
        """Write a new attempt and the run that now points to it, in one transaction.

        Raises StaleWriteError when the attempt exists already, the run changed, or the run has ended.
        """
        ...

    def record_fact(
        self, run_id: RunId, number: AttemptNumber, kind: FactKind, fact: Fact, event: TimelineEvent | None = None
    ) -> bool:
        """Write a fact and its event once, in one transaction; False when the fact is there already.

        Raises NotFoundError when there is no such attempt.
        """
        ...

    def store_token(self, run_id: RunId, number: AttemptNumber, wait: Wait, token: TaskToken, turn: str = "") -> bool:
        """Keep the token that the attempt's waiting state is answered with, in place of any other, unless one of a
        later turn is there; says whether it was kept. Raises NotFoundError when there is no such attempt."""
        ...

    def request_stop(
        self, run_id: RunId, request: StopRequest, event: TimelineEvent, *, extensions: int | None = None
    ) -> Run | None:
        """Write the stop request and the status STOPPING unless the run has ended; answers the run as it is then.

        The first request stands; a later one with `now` only raises `now`. None when the run has ended. With
        `extensions` nothing is written when the run was extended since.
        """
        ...

    def record_progress(self, run_id: RunId, progress: Progress) -> bool:
        """Keep the figures unless newer ones are there or the run has ended; says whether they were kept."""
        ...

    def record_checkpoint(
        self, run_id: RunId, checkpoint: CheckpointRef, event: TimelineEvent, progress: Progress | None = None
    ) -> bool:
        """Keep the checkpoint, its event and the figures that came with it, unless it is neither of the run's current
        attempt nor of the one that hands over to it, is not newer, or the run has ended; says whether it was kept. A
        later attempt's is newer; within an attempt `saved_at` decides."""
        ...

    def settle(self, attempt: Attempt, settlement: Settlement, spending: Spending) -> bool:
        """Write what the attempt's machine cost, add it to its run's sums, ended or not, and to the ledger: once, in
        one transaction. False when it is settled already, or EC2 has not said that the machine goes."""
        ...

    def last_sweep(self) -> Sweep | None:
        """Read what the reaper's last look came to; None before the first."""
        ...

    def save_sweep(self, sweep: Sweep) -> None:
        """Replace the sweep that was read as `sweep.version`. Raises StaleWriteError when another look was faster."""
        ...

    def was_told(self, run_id: RunId, what: str) -> bool:
        """Whether people were told this of a run."""
        ...

    def record_told(self, run_id: RunId, what: str, at: datetime) -> None:
        """Note that people were told this of a run; the first note stands."""
        ...

    def add_events(self, events: Sequence[TimelineEvent]) -> None:
        """Write timeline events; one that is there already is left as it is."""
        ...


class SpendingLedger(Protocol):
    """What is added up of money, in the runs table."""

    def month_usd(self, month: str) -> Decimal:
        """What was settled in a month, e.g. `2026-11`."""
        ...

    def spendings(self, first: date, last: date) -> Iterator[Spending]:
        """The machines settled that ended from one day to another, both included, oldest first."""
        ...

    def late_spendings(self, first: date, last: date) -> Iterator[Spending]:
        """Those settled on these days, too late for the digest of the day on which they ended."""
        ...

    def figures(self) -> Figures | None:
        """What the cost watch saw last; None before its first look."""
        ...

    def save_figures(self, figures: Figures) -> None:
        """Keep what the cost watch sees now."""
        ...


class Pages(Protocol):
    """Pages for people in the bucket."""

    def put(self, name: str, text: str) -> str:
        """Keep a page under its name; answers its place."""
        ...


class Machines(Protocol):
    """EC2."""

    def create_fleet(self, request: Mapping[str, Any]) -> FleetAnswer:
        """Call CreateFleet with exactly these arguments (`ClientToken` among them)."""
        ...

    def machine(self, instance_id: InstanceId) -> MachineView | None:
        """Describe one instance; None when EC2 does not know it. Just after a launch that does not mean gone."""
        ...

    def machines_of_run(self, run_id: RunId) -> tuple[MachineView, ...]:
        """Describe all instances with the run's tag, ended ones too."""
        ...

    def tagged_machines(self) -> Iterator[MachineView]:
        """Describe all instances that carry our run tag and have not ended, all pages."""
        ...

    def views(self, instance_ids: Iterable[InstanceId]) -> Mapping[InstanceId, MachineView]:
        """Describe many instances, hundreds in a call; those that EC2 does not know are left out."""
        ...

    def console_output(self, instance_id: InstanceId) -> str:
        """Read the end of what an instance printed to its console; empty while EC2 has nothing."""
        ...

    def stop(self, instance_id: InstanceId) -> None:
        """Ask EC2 to stop an on-demand instance; its disk stays."""
        ...

    def terminate(self, instance_id: InstanceId) -> None:
        """Ask EC2 to end an instance; one that is gone already is fine."""
        ...

    def subnets(self, subnet_ids: Iterable[str]) -> tuple[Subnet, ...]:
        """Describe subnets, in the order given."""
        ...

    def machine_types(self, names: Iterable[str]) -> tuple[MachineType, ...]:
        """Describe instance types, in the order given. Raises InvalidSpec that names one EC2 does not know."""
        ...

    def root_device(self, image_id: str) -> str:
        """Name the device that an AMI starts from. Raises InvalidSpec for an unknown one."""
        ...

    def image_id(self, machine_type: MachineType) -> str:
        """Resolve the current AMI of an architecture and accelerator from AWS's public SSM parameters."""
        ...


class Prices(Protocol):
    """What machines cost."""

    def price(self, instance_type: str, availability_zone: str, option: PurchaseOption) -> Price | None:
        """Price of an hour now, and who says so; None when it is not known."""
        ...

    def spot_steps(
        self, instance_types: Iterable[str], since: datetime
    ) -> Mapping[tuple[str, str], tuple[PriceStep, ...]]:
        """How spot prices moved since a moment, by type and Availability Zone, the price in force then included."""
        ...


class Commands(Protocol):
    """SSM: readiness and Run Command."""

    def is_online(self, instance_id: InstanceId) -> bool:
        """Whether SSM says `PingStatus=Online`."""
        ...

    def send(self, instance_id: InstanceId, script: str, *, comment: str) -> str:
        """Run one short shell script through AWS-RunShellScript; answers the command id.

        Raises MachineNotReady when SSM does not know the instance (InvalidInstanceId).
        """
        ...


class TaskTokens(Protocol):
    """Step Functions: answers to waiting states. A token that is spent, timed out or unknown is fine: False."""

    def succeed(self, token: TaskToken, output: Mapping[str, Any]) -> bool:
        """SendTaskSuccess."""
        ...

    def fail(self, token: TaskToken, error: str, cause: str) -> bool:
        """SendTaskFailure; `error` is the class name, `cause` our sentence."""
        ...


class Executions(Protocol):
    """Step Functions: executions, named by run id."""

    def status(self, run_id: RunId) -> ExecutionStatus | None:
        """How the run's execution stands; None when there is none."""
        ...


class Bucket(Protocol):
    """The bucket. Keys are those of `runctl.model.keys`.

    `role_id` is the unique id of a machine's role where that is not the stack's own.
    """

    def put_job(self, instance_id: InstanceId, job: AgentJob, *, role_id: str | None = None) -> None:
        """Write the machine's hand-off."""
        ...

    def put_go(self, instance_id: InstanceId, go: HandOver, *, role_id: str | None = None) -> None:
        """Write that the machine may train, and from where."""
        ...

    def put_limits(self, instance_id: InstanceId, limits: Limits, *, role_id: str | None = None) -> None:
        """Tell a machine that its training may take longer than its job says."""
        ...

    def put_replacement_ready(
        self, instance_id: InstanceId, word: ReplacementReady, *, role_id: str | None = None
    ) -> None:
        """Tell a machine that is being taken back that another one waits for it."""
        ...

    def remove_job(self, instance_id: InstanceId, *, role_id: str | None = None) -> None:
        """Remove all of the machine's hand-off; what is not there is fine."""
        ...

    def prefix_of(
        self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId, *, role_id: str | None = None
    ) -> str:
        """Name the prefix that the machine may write (it holds the machine role's id)."""
        ...

    def manifests(self, run_id: RunId) -> tuple[Manifest, ...]:
        """Read all manifests that lie below the run's attempts, newest `saved_at` first; unreadable ones are left out
        and logged."""
        ...

    def links(self, manifest: Manifest) -> tuple[LinkedFile, ...]:
        """Make short-lived links to read a checkpoint's files."""
        ...

    def final_marker(
        self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId, *, role_id: str | None = None
    ) -> dict[str, Any] | None:
        """Read the signed `Training Ended` detail that the agent leaves in the bucket; None when there is none."""
        ...


class Schedules(Protocol):
    """One-time schedules that call `stop_run`."""

    def terminate_at(self, run_id: RunId, at: datetime) -> None:
        """Set, or move, the time at which `stop_run` is told to terminate the run's machine."""
        ...

    def remove(self, run_id: RunId) -> None:
        """Remove the run's schedule; one that is not there, or has fired, is fine."""
        ...

    def look_at(self, run_id: RunId, at: datetime) -> None:
        """Set, or move, the time at which `stop_run` is told to look at the run's limits."""
        ...

    def forget(self, run_id: RunId) -> None:
        """Remove that schedule; one that is not there, or has fired, is fine."""
        ...


class Notifications(Protocol):
    """SNS."""

    def send(self, subject: str, text: str) -> None:
        """Tell people. `subject` is cut to SNS's 100 ASCII characters."""
        ...


class SlackWebhooks(Protocol):
    """Where Slack is told: addresses that are secrets."""

    def names(self) -> Sequence[str]:
        """Names under which they are kept, which are none."""
        ...

    def url(self, name: str) -> str | None:
        """The address itself; None when it was removed meanwhile."""
        ...


class SlackPosts(Protocol):
    """Posts to Slack."""

    def post(self, url: str, text: str) -> SlackAnswer:
        """Post a text once."""
        ...


class SlackLater(Protocol):
    """Another invocation of the function, for one webhook."""

    def hand_on(self, message: SlackMessage) -> None:
        """Let it be tried there. Lambda tries that again, and puts away what fails for good."""
        ...


class Metrics(Protocol):
    """CloudWatch metrics, without any dimension."""

    def put(self, values: Mapping[Metric, float]) -> None:
        """Put them in one call, counts or USD; nothing is put where there is nothing."""
        ...


class Clock(Protocol):
    """Time is passed in."""

    def __call__(self) -> datetime:
        """The time now, aware, UTC."""
        ...
