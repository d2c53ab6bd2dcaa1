"""The Python API: submit a training, and ask how it stands."""

import getpass
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from runctl.client.budgets import Budgets
from runctl.client.checkpoints import checkpoint_named, complete_checkpoints, output_of
from runctl.client.choosing import choose_types
from runctl.client.code_memory import default_folder
from runctl.client.code_sync import CodeSync, SyncedCode
from runctl.client.deployment import Deployment, Entering, MachineTypes, Subscribing
from runctl.client.documents import run_document
from runctl.client.downloading import Download, FetchedFile, fetch, wanted_files
from runctl.client.estimate import Estimate, estimate
from runctl.client.extending import extension_of
from runctl.client.following import LogEntry, follow_log
from runctl.client.handle import RunHandle
from runctl.client.inside import Inside, machine_to_enter
from runctl.client.live_prices import with_live_prices
from runctl.client.lookup import find_run
from runctl.client.machines import Machines
from runctl.client.metrics import run_metrics
from runctl.client.money import Resource, attempt_costs_document, resources
from runctl.client.naming import memorable_name
from runctl.client.place import Place
from runctl.client.preparing import Plan, PreparedProject, prepare, refuse_data_of_others
from runctl.client.project import ProjectFiles, find_project_root
from runctl.client.report.page import report_page
from runctl.client.report.record import read_record
from runctl.client.resuming import (
    ResumePlan,
    chain_of,
    name_of_resumed,
    point_to_resume,
    refuse_unless_resumable,
    resumed_request,
)
from runctl.client.spec import RunSpec
from runctl.client.submitting import submit
from runctl.client.tidying import Tidying
from runctl.client.watching import RunView, RunWatch
from runctl.errors import InvalidSpec, RunctlError
from runctl.model.attempt import Attempt
from runctl.model.checkpoint import Manifest
from runctl.model.figures import Figures
from runctl.model.history import MetricsHistory
from runctl.model.ids import AttemptNumber, InstanceId, RunId, new_run_id
from runctl.model.machine import MachineType
from runctl.model.run import PurchaseOption, ResumedFrom, Run, RunRequest
from runctl.model.run import RunSpec as StoredSpec
from runctl.model.stop import StopAction, StopAnswer, StopCommand
from runctl.model.timeline import TimelineEvent
from runctl.policy.budget_limits import default_max_cost
from runctl.policy.instance_profiles import role_of
from runctl.policy.needs import Needs
from runctl.policy.reports import Report, report

_FIRST_LOOK_S: Final = 0.25
_LOOKS_S: Final = 1.0
"""Longest time between two looks at a run. A look is one read of one item: $0.000000125 (DynamoDB pricing)."""

_PATIENCE_S: Final = 300.0
"""How long a wait goes on although AWS does not answer; the run goes on anyway."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Client:
    """Submits runs to a deployment and reads them. Without a deployment it uses the account that boto3 finds.

    Waiting polls: `sleep` and `now` are arguments so that tests need not wait.
    """

    def __init__(
        self,
        deployment: Deployment | None = None,
        *,
        user: str | None = None,
        project: str | None = None,
        now: Callable[[], datetime] = _utc_now,
        sleep: Callable[[float], None] = time.sleep,
        memory_folder: Path | None = None,
    ) -> None:
        self._deployment = deployment or _connected()
        self._memory_folder = memory_folder
        self.user = user or getpass.getuser()
        """Under whose name runs are submitted."""
        self._project = project or (find_project_root(Path.cwd()) or Path.cwd()).name
        self._now = now
        self._sleep = sleep

    @property
    def place(self) -> Place:
        """Account and region."""
        return self._deployment.place

    # -- submitting ----------------------------------------------------------------------------------------------

    def train(self, spec: RunSpec) -> RunHandle:
        """Upload the project and start the run.

        Raises InvalidSpec before anything is made when the training cannot be run.
        """
        return self._held(self.launch(self.plan(prepare(spec))))

    def _held(self, run: Run) -> RunHandle:
        return RunHandle(self, run.run_id, self._now)

    def plan(self, prepared: PreparedProject) -> Plan:
        """Check what was asked for and estimate the cost; makes nothing. Raises InvalidSpec for an unknown type, and
        PermissionDenied for an instance profile that was not allowed."""
        refuse_data_of_others(prepared.spec, self._deployment.data_buckets)
        return Plan(prepared, self._estimated(prepared.spec))

    def _estimated(self, spec: RunRequest) -> Estimate:
        """Check the instance profile and the instance types, and estimate the cost."""
        role_of(spec.instance_profile, self._deployment.instance_profiles)
        return self.estimate(
            spec.instance_types,
            spec.purchase_option,
            runtime=timedelta(seconds=spec.max_runtime_s),
            limit_usd=spec.max_cost_usd,
            disk_gib=spec.disk_gib,
        )

    def choose_types(self, needs: Needs, option: PurchaseOption) -> tuple[str, ...]:
        """Choose the cheapest types that have what is needed, by the prices of now. Raises InvalidSpec."""
        return choose_types(self._deployment.machine_types, self._deployment.prices, needs, option)

    def estimate(
        self,
        instance_types: Sequence[str],
        option: PurchaseOption,
        *,
        runtime: timedelta,
        limit_usd: Decimal | None = None,
        disk_gib: int | None = None,
    ) -> Estimate:
        """Tell what a run may cost on each pool of these types; makes nothing. Raises InvalidSpec for an unknown
        type."""
        types = self._machine_types(instance_types)
        architectures = sorted({machine_type.architecture for machine_type in types})
        if len(architectures) > 1:
            raise InvalidSpec(
                f"The instance types {', '.join(instance_types)} have different processors: "
                f"{' and '.join(architectures)}.",
                hint="Name types of one architecture: an environment made for one does not run on the other.",
            )
        return estimate(
            self._deployment.prices,
            instance_types=instance_types,
            option=option,
            runtime=runtime,
            limit_usd=limit_usd,
            disk_gib=disk_gib,
        )

    def _machine_types(self, names: Sequence[str]) -> tuple[MachineType, ...]:
        """Describe the types; a refusal is told by the names that EC2 does not know, whatever its own words."""
        catalogue = self._deployment.machine_types
        try:
            return catalogue.machine_types(names)
        except InvalidSpec as refusal:
            unknown = [name for name in names if not _is_known(catalogue, name)]
            if not unknown:
                raise
            raise InvalidSpec(
                f"EC2 has no instance type {' and no '.join(unknown)} in {self.place.region}.",
                hint="Check the spelling and the Region; all types: https://aws.amazon.com/ec2/instance-types/",
            ) from refusal

    @property
    def machines(self) -> Machines:
        """Machines that are kept, and those of runs."""
        return Machines(self._deployment, self._sleep, self._now)

    def launch(
        self,
        plan: Plan,
        *,
        machine: InstanceId | None = None,
        on_upload: Callable[[SyncedCode], None] = lambda _synced: None,
        on_bytes: Callable[[int, int], None] = lambda _count, _total: None,
    ) -> Run:
        """Send what of the project is not there, write the run, start its execution: on a machine of its own, or on
        `machine`.

        `on_bytes` hears, in any thread, of bytes that were sent and of how many there are to send; `on_upload`, at the
        end, of what lies in the bucket. When the start is refused the run is ended
        as FAILED. When this process dies before the start, an open run without an execution is left, which
        `status` shows and the reaper concludes.
        """
        spec = plan.prepared.spec
        project = spec.project or self._project
        if machine is None:
            self._require_room(project, spec, plan.estimate)
        synced = self.sync(plan.prepared.root, plan.prepared.files, on_bytes)
        on_upload(synced)
        return self._begin(
            spec.stored(synced.code),
            name=spec.name,
            project=project,
            estimate=plan.estimate,
            machine=machine,
        )

    def _require_room(self, project: str, request: RunRequest, estimate: Estimate) -> None:
        """Raise BudgetExceeded, before anything is sent, when the run would not be admitted now."""
        self.budgets.require_room(project, request.max_cost_usd or default_max_cost(estimate.total_usd))

    def _begin(
        self,
        spec: StoredSpec,
        *,
        name: str | None,
        project: str,
        estimate: Estimate,
        machine: InstanceId | None = None,
        resumed_from: ResumedFrom | None = None,
    ) -> Run:
        """Write the run, with a limit to its cost and a name, and start its execution."""
        now = self._now()
        run_id = new_run_id(now)
        if spec.max_cost_usd is None and machine is None:
            spec = spec.model_copy(update={"max_cost_usd": default_max_cost(estimate.total_usd)})
        run = Run(
            run_id=run_id,
            name=name or memorable_name(run_id),
            project=project,
            user=self.user,
            spec=spec,
            message="Submitted.",
            created_at=now,
            updated_at=now,
            execution_arn=self.place.execution_arn(run_id),
            estimated_usd=estimate.total_usd,
            machine=machine,
            resumed_from=resumed_from,
        )
        submit(run, self._deployment, self._now)
        return run

    def sync(
        self, root: Path, files: ProjectFiles, on_bytes: Callable[[int, int], None] = lambda _count, _total: None
    ) -> SyncedCode:
        """Send what of a project is not in the bucket; launches nothing. Raises InvalidSpec for a file that cannot
        be read, or changes meanwhile."""
        return self._code_sync().send(root, files, on_bytes)

    def _code_sync(self) -> CodeSync:
        return CodeSync(self._deployment.code, self._memory_folder or default_folder(), self._now)

    # -- resuming ------------------------------------------------------------------------------------------------

    def plan_resume(
        self,
        earlier: Run,
        changes: Mapping[str, Any] = MappingProxyType({}),
        *,
        checkpoint: str | None = None,
        force: bool = False,
    ) -> ResumePlan:
        """Look for what an ended run may be resumed from, lay `changes` over what it asked for, estimate the cost.

        Makes nothing. Raises InvalidSpec for a run that is open, that succeeded (unless `force`), or that left no
        complete checkpoint; NotFoundError when `checkpoint` is not one of its.
        """
        refuse_unless_resumable(earlier, force=force)
        attempts = self.attempts(earlier.run_id)
        point = point_to_resume(earlier, attempts, self._deployment.results, checkpoint)
        request = resumed_request(earlier, changes)
        return ResumePlan(earlier, point, request, self._estimated(request))

    def resume(
        self,
        plan: ResumePlan,
        project: PreparedProject | None = None,
        *,
        on_upload: Callable[[SyncedCode], None] = lambda _synced: None,
        on_bytes: Callable[[int, int], None] = lambda _count, _total: None,
    ) -> Run:
        """Start a new run that goes on from the earlier one, with its code, or with `project` sent again.

        Raises InvalidSpec when the earlier run's code is no longer in the bucket.
        """
        self._require_room(plan.earlier.project, plan.request, plan.estimate)
        code = plan.earlier.spec.code
        if project is not None:
            synced = self.sync(project.root, project.files, on_bytes)
            on_upload(synced)
            code = synced.code
        elif not self._code_sync().confirm(code):
            raise InvalidSpec(
                f"The code of run {plan.earlier.run_id} is not in the bucket any more.",
                hint=f"Send the project as it is now: runctl resume {plan.earlier.run_id} --sync-code",
            )
        asked = {name: getattr(plan.request, name) for name in RunRequest.model_fields}
        return self._begin(
            StoredSpec(**asked, code=code),
            name=name_of_resumed(plan.earlier),
            project=plan.earlier.project,
            estimate=plan.estimate,
            resumed_from=plan.resumed_from,
        )

    def chain(self, run: Run) -> tuple[ResumedFrom, ...]:
        """What the run went on from, what that one went on from, and so on: the nearest first."""
        return chain_of(run, self._deployment.runs)

    # -- what runs left behind -----------------------------------------------------------------------------------

    def checkpoints(self, run_id: RunId) -> tuple[Manifest, ...]:
        """The run's complete checkpoints, newest first."""
        return complete_checkpoints(self._deployment.results, run_id, self.attempts(run_id))

    def plan_download(
        self, run: Run, folder: Path, *, latest: bool = True, checkpoint: str | None = None, output: bool = True
    ) -> Download:
        """Look for what the run left: its newest complete checkpoint, or the one of this name, and its output.

        Raises NotFoundError when nothing of it is there.
        """
        manifest = None
        if checkpoint is not None:
            manifest = checkpoint_named(self.checkpoints(run.run_id), checkpoint, run.run_id)
        elif latest:
            manifest = next(iter(self.checkpoints(run.run_id)), None)
        found = None
        if output:
            found = output_of(self._deployment.results.outputs(run.run_id), self.attempts(run.run_id))
        return Download(folder, manifest, wanted_files(manifest, () if found is None else found.files))

    def download(
        self, plan: Download, on_bytes: Callable[[int, int], None] = lambda _count, _total: None
    ) -> tuple[FetchedFile, ...]:
        """Fetch the files that are not there yet, each checked by its hash. Raises DownloadDamaged, UsageError."""
        return fetch(plan, self._deployment.results, on_bytes)

    # -- asking --------------------------------------------------------------------------------------------------

    def run(self, name: str) -> Run:
        """Find a run by its id, the beginning of it, or `last`. Raises NotFoundError."""
        return find_run(self._deployment.runs, self._project, name)

    def handle(self, name: str) -> RunHandle:
        """Take a run up again by its id, the beginning of it, or `last`. Raises NotFoundError."""
        return self._held(self.run(name))

    def runs(self, limit: int = 20, *, all_users: bool = True) -> tuple[Run, ...]:
        """The project's newest runs, newest first; of this user alone unless `all_users`."""
        return self._deployment.runs.runs_of_project(self._project, limit, None if all_users else self.user)

    def attempts(self, run_id: RunId) -> tuple[Attempt, ...]:
        """The run's attempts, first to last."""
        return self._deployment.runs.attempts(run_id)

    def enter(self, run: Run) -> Inside:
        """Choose the run's machine that can be entered. Raises MachineNotReady."""
        return machine_to_enter(self._deployment, run, self.attempts(run.run_id))

    @property
    def sessions(self) -> Entering:
        """Session Manager."""
        return self._deployment.sessions

    def priced(self, attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
        """The attempts, those of spot machines that are not settled with the prices in force since their launch."""
        return with_live_prices(attempts, self._deployment.prices, self._now())

    def events(self, run_id: RunId) -> tuple[TimelineEvent, ...]:
        """What happened to the run, in order."""
        return self._deployment.runs.events(run_id)

    @property
    def subscriptions(self) -> Subscribing:
        """Who hears what is told of runs."""
        return self._deployment.subscriptions

    # -- money ---------------------------------------------------------------------------------------------------

    @property
    def budgets(self) -> Budgets:
        """How much may be spent: set, show, all, delete."""
        return Budgets(self._deployment.budgets, user=self.user, project=self._project, now=self._now)

    def costs_of(self, run: Run) -> dict[str, Any]:
        """What a run's machines cost, one by one, as JSON output shows it."""
        return attempt_costs_document(run, self.priced(self.attempts(run.run_id)), self._now())

    def report(self, days: int) -> Report:
        """What was spent in the last days, today included, and what runs now."""
        last = self._now().date()
        first = last - timedelta(days=days - 1)
        ledger = self._deployment.ledger
        return report(ledger.spendings(first, last), first, last, ledger.figures())

    def figures(self) -> Figures | None:
        """What the cost watch saw last."""
        return self._deployment.ledger.figures()

    def resources(self) -> tuple[Resource, ...]:
        """The machines that are paid for, the oldest first."""
        deployment = self._deployment
        attempts = tuple(deployment.runs.unsettled_attempts())
        return resources(deployment.machines.tagged_machines(), attempts, deployment.prices, self._now())

    def document(self, run: Run) -> dict[str, Any]:
        """The run as JSON output shows it."""
        return run_document(run, self.priced(self.attempts(run.run_id)), self.place, self._now())

    def wait(self, run_id: RunId, on_change: Callable[[Run], None] = lambda _run: None) -> Run:
        """Look at the run until it has ended; `on_change` sees it first and whenever it changed.

        Goes on through disturbances of AWS for five minutes, then raises what AWS answered.
        """
        pause_s, silent_s = _FIRST_LOOK_S, 0.0
        seen = 0
        while True:
            try:
                run = self.run(run_id)
                silent_s = 0.0
            except RunctlError as error:
                if not error.retryable or silent_s >= _PATIENCE_S:
                    raise
                silent_s += pause_s
            else:
                if run.version != seen:
                    seen = run.version
                    on_change(run)
                if run.status.is_terminal:
                    return run
            self._sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LOOKS_S)

    def logs(self, run_id: RunId, *, attempt: AttemptNumber | None = None, follow: bool = False) -> Iterator[LogEntry]:
        """What the training printed: one attempt's, or all attempts'; `follow` goes on until the run has ended."""
        return follow_log(self._deployment, run_id, attempt=attempt, follow=follow, sleep=self._sleep)

    def metrics(self, run_id: RunId) -> tuple[MetricsHistory, ...]:
        """The figures of each attempt over time: what the training said, and how busy its machine was."""
        return run_metrics(self._deployment, run_id, self.attempts(run_id))

    def watch(self, run_id: RunId) -> Iterator[RunView]:
        """Look at the run every two seconds, with its attempts, events and figures, until it has ended."""
        return RunWatch(self._deployment, run_id, now=self._now, sleep=self._sleep).views()

    def page(self, runs: Sequence[Run]) -> str:
        """A page about these runs, in HTML: one file that needs no other. Several runs are compared."""
        now = self._now()
        return report_page([read_record(self._deployment, run, now) for run in runs])

    # -- extending and ending ------------------------------------------------------------------------------------

    def extend(
        self,
        run: Run,
        *,
        runtime: timedelta | None = None,
        more_runtime: timedelta | None = None,
        cost_usd: Decimal | None = None,
        more_usd: Decimal | None = None,
    ) -> StopAnswer:
        """Let a live run train longer or cost more: in all (`runtime`, `cost_usd`), or beyond its limit as it was read.

        Raises UsageError, InvalidSpec for a run that is ending, BudgetExceeded when a budget has no room: then nothing
        was changed.
        """
        extension = extension_of(run, runtime=runtime, more_runtime=more_runtime, cost_usd=cost_usd, more_usd=more_usd)
        command = StopCommand(run_id=run.run_id, action=StopAction.EXTEND, requested_by=self.user, extension=extension)
        return self._deployment.stopper.stop(command)

    def cancel(self, run_id: RunId, *, now: bool = False) -> StopAnswer:
        """Let the run save, then end it; `now` ends its machine at once."""
        return self._deployment.stopper.stop(StopCommand(run_id=run_id, requested_by=self.user, now=now))

    @property
    def tidying(self) -> Tidying:
        """Ending what is not wanted any more: everything at once, what no run owns, checkpoints."""
        return Tidying(self._deployment, self.user)


def _is_known(catalogue: MachineTypes, name: str) -> bool:
    try:
        catalogue.machine_types([name])
    except InvalidSpec:
        return False
    return True


def _connected() -> Deployment:
    # boto3 takes a fifth of a second to import; who brings a deployment need not wait for it.
    from runctl.client.connect import connect

    return connect()
