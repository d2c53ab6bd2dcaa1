"""What the commands ask of a deployment and of the cloud on this machine. Importing it imports neither."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from datetime import timedelta
    from decimal import Decimal

    from runctl.aws.change_sets import Stack, StackEvent
    from runctl.aws.identity import Identity
    from runctl.client.budgets import Budgets
    from runctl.client.checks import Finding
    from runctl.client.client import Plan, PreparedProject
    from runctl.client.code_sync import SyncedCode
    from runctl.client.deploying import Choices, DeploymentPlan
    from runctl.client.deployment import Entering, Subscribing
    from runctl.client.destroying import Inventory, Remains
    from runctl.client.downloading import Download, FetchedFile
    from runctl.client.estimate import Estimate
    from runctl.client.following import LogEntry
    from runctl.client.inside import Inside
    from runctl.client.machines import Machines
    from runctl.client.money import Resource, Unsettled
    from runctl.client.place import Place
    from runctl.client.project import ProjectFiles
    from runctl.client.redriving import Redriving
    from runctl.client.resuming import ResumePlan
    from runctl.client.tidying import Tidying
    from runctl.client.watching import RunView
    from runctl.local.cloud import CloudStatus, LocalShell
    from runctl.model.attempt import Attempt
    from runctl.model.checkpoint import Manifest
    from runctl.model.figures import Figures
    from runctl.model.ids import AttemptNumber, InstanceId, RunId
    from runctl.model.run import PurchaseOption, ResumedFrom, Run
    from runctl.model.stop import StopAnswer
    from runctl.model.timeline import TimelineEvent
    from runctl.policy.needs import Needs
    from runctl.policy.reports import Report


class ClientPort(Protocol):
    """`runctl.client.client.Client`, as the commands use it."""

    user: str

    @property
    def place(self) -> "Place":
        """Account and region."""
        ...

    @property
    def machines(self) -> "Machines":
        """Machines that are kept, and those of runs."""
        ...

    def plan(self, prepared: "PreparedProject") -> "Plan":
        """Check the instance types and estimate the cost; makes nothing."""
        ...

    def sync(self, root: Path, files: "ProjectFiles", on_bytes: Callable[[int, int], None] = ...) -> "SyncedCode":
        """Send what of a project is not in the bucket."""
        ...

    def launch(
        self,
        plan: "Plan",
        *,
        machine: "InstanceId | None" = ...,
        on_upload: "Callable[[SyncedCode], None]" = ...,
        on_bytes: "Callable[[int, int], None]" = ...,
    ) -> "Run":
        """Send what of the project is not there, write the run, start its execution."""
        ...

    def run(self, name: str) -> "Run":
        """Find a run by its id, the beginning of it, or `last`."""
        ...

    def runs(self, limit: int = ..., *, all_users: bool = ...) -> "tuple[Run, ...]":
        """The project's newest runs, newest first; of this user alone unless `all_users`."""
        ...

    def choose_types(self, needs: "Needs", option: "PurchaseOption") -> tuple[str, ...]:
        """Choose the cheapest types that have what is needed."""
        ...

    def estimate(
        self,
        instance_types: "Sequence[str]",
        option: "PurchaseOption",
        *,
        runtime: "timedelta",
        limit_usd: "Decimal | None" = None,
        disk_gib: int | None = None,
    ) -> "Estimate":
        """Tell what a run may cost on each pool of these types."""
        ...

    def priced(self, attempts: "Sequence[Attempt]") -> "tuple[Attempt, ...]":
        """The attempts with the prices in force since their launch."""
        ...

    @property
    def subscriptions(self) -> "Subscribing":
        """Who hears what is told of runs."""
        ...

    @property
    def budgets(self) -> "Budgets":
        """How much may be spent."""
        ...

    def costs_of(self, run: "Run") -> dict[str, Any]:
        """What a run's machines cost, one by one."""
        ...

    def report(self, days: int) -> "Report":
        """What was spent in the last days, today included."""
        ...

    def unsettled(self) -> "Unsettled":
        """What machines have cost that run, or ended so lately that the ledger does not hold them yet."""
        ...

    def resources(self) -> "tuple[Resource, ...]":
        """The machines that are paid for."""
        ...

    def figures(self) -> "Figures | None":
        """What the cost watch saw last."""
        ...

    def attempts(self, run_id: "RunId") -> "tuple[Attempt, ...]":
        """The run's attempts, first to last."""
        ...

    def events(self, run_id: "RunId") -> "tuple[TimelineEvent, ...]":
        """What happened to the run, in order."""
        ...

    def document(self, run: "Run") -> dict[str, Any]:
        """The run as JSON output shows it."""
        ...

    def plan_resume(
        self, earlier: "Run", changes: Mapping[str, Any] = ..., *, checkpoint: str | None = ..., force: bool = ...
    ) -> "ResumePlan":
        """Look for what an ended run may be resumed from, and estimate the cost; makes nothing."""
        ...

    def resume(
        self,
        plan: "ResumePlan",
        project: "PreparedProject | None" = ...,
        *,
        on_upload: "Callable[[SyncedCode], None]" = ...,
        on_bytes: Callable[[int, int], None] = ...,
    ) -> "Run":
        """Start a new run that goes on from the earlier one."""
        ...

    def chain(self, run: "Run") -> "tuple[ResumedFrom, ...]":
        """What the run went on from, the nearest first."""
        ...

    def checkpoints(self, run_id: "RunId") -> "tuple[Manifest, ...]":
        """The run's complete checkpoints, newest first."""
        ...

    def plan_download(
        self, run: "Run", folder: Path, *, latest: bool = ..., checkpoint: str | None = ..., output: bool = ...
    ) -> "Download":
        """Look for what the run left behind."""
        ...

    def download(self, plan: "Download", on_bytes: Callable[[int, int], None] = ...) -> "tuple[FetchedFile, ...]":
        """Fetch the files that are not there yet."""
        ...

    def wait(self, run_id: "RunId", on_change: "Callable[[Run], None]" = ...) -> "Run":
        """Look at the run until it has ended."""
        ...

    def logs(
        self, run_id: "RunId", *, attempt: "AttemptNumber | None" = ..., follow: bool = ...
    ) -> "Iterator[LogEntry]":
        """What the training printed."""
        ...

    def watch(self, run_id: "RunId") -> "Iterator[RunView]":
        """Look at the run again and again, until it has ended."""
        ...

    def page(self, runs: "Sequence[Run]") -> str:
        """A page about these runs, in HTML."""
        ...

    def extend(
        self,
        run: "Run",
        *,
        runtime: "timedelta | None" = ...,
        more_runtime: "timedelta | None" = ...,
        cost_usd: "Decimal | None" = ...,
        more_usd: "Decimal | None" = ...,
    ) -> "StopAnswer":
        """Let a live run train longer or cost more."""
        ...

    def cancel(self, run_id: "RunId", *, now: bool = ...) -> "StopAnswer":
        """Let the run save, then end it."""
        ...

    def enter(self, run: "Run") -> "Inside":
        """Choose the run's machine that can be entered."""
        ...

    @property
    def sessions(self) -> "Entering":
        """Session Manager."""
        ...

    @property
    def tidying(self) -> "Tidying":
        """Ending what is not wanted any more."""
        ...

    @property
    def redriving(self) -> "Redriving":
        """Sending again what could not be delivered."""
        ...


class LocalCloudPort(Protocol):
    """`runctl.local.cloud.LocalCloud`, as the commands use it."""

    @property
    def log_path(self) -> Path:
        """Where it writes its log."""
        ...

    def up(self, *, port: int | None = None, boot_delay_s: float = 0.0, say: Callable[[str], None]) -> "CloudStatus":
        """Start what does not run, deploy what is not deployed."""
        ...

    def down(self, *, say: Callable[[str], None]) -> bool:
        """End every process of it; False when it was not up."""
        ...

    def status(self) -> "CloudStatus":
        """Say how it stands."""
        ...

    def environment(self) -> dict[str, str]:
        """Variables with which the AWS CLI and SDKs reach it. Raises LocalCloudDown."""
        ...

    def shell(self, instance_id: str, folder: str) -> "LocalShell":
        """Say how a shell on a machine is begun, in a folder below `RUNCTL_ROOT`."""
        ...

    def interrupt(self, instance_id: str, notice_s: float) -> Any:
        """Take a spot machine back, with this much notice."""
        ...

    def kill(self, instance_id: str, silent: bool = False) -> Any:
        """End a machine at once, as a failure of its host does."""
        ...

    def no_capacity(self, pools: Sequence[str], for_s: float) -> Any:
        """Let these pools have no machines for a while."""
        ...


class DeployingPort(Protocol):
    """`runctl.client.deploying.Deploying`, as the commands use it."""

    @property
    def template(self) -> "Mapping[str, Any]":
        """What is deployed."""
        ...

    @property
    def region(self) -> str:
        """The Region that is deployed to."""
        ...

    def identity(self) -> "Identity":
        """Say which account is deployed to."""
        ...

    def plan(self, choices: "Choices") -> "DeploymentPlan":
        """Upload the archives and let CloudFormation say what would change."""
        ...

    def discard(self, plan: "DeploymentPlan") -> None:
        """Leave everything as it was before the plan."""
        ...

    def apply(self, plan: "DeploymentPlan", on_event: "Callable[[StackEvent], None]" = ...) -> "Stack":
        """Carry the plan out and answer the stack."""
        ...


class DestroyingPort(Protocol):
    """`runctl.client.destroying.Destroying`, as the commands use it."""

    def inventory(self) -> "Inventory":
        """Look at the stack, its open runs and its machines."""
        ...

    def end_runs(self, inventory: "Inventory") -> "Inventory":
        """Ask open runs to save and end, wait for them, terminate the other machines."""
        ...

    def destroy(
        self, inventory: "Inventory", *, empties_bucket: bool, on_event: "Callable[[StackEvent], None]" = ...
    ) -> "Remains":
        """Lift the protection and delete the stack."""
        ...


class ChecksPort(Protocol):
    """`runctl.client.checks.Checks`, as the command uses it."""

    def findings(self) -> "Iterator[Finding]":
        """Look at one thing after another."""
        ...

    def quick(self, option: "PurchaseOption") -> "Iterator[Finding]":
        """Look at what decides whether a launch can succeed."""
        ...
