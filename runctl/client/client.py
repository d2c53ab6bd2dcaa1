"""The Python API: submit a training, and ask how it stands."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from runctl.client.choosing import choose_types
from runctl.client.code_memory import default_folder
from runctl.client.code_sync import CodeSync, SyncedCode
from runctl.client.deployment import MachineTypes
from runctl.client.estimate import Estimate, estimate
from runctl.client.extending import extension_of
from runctl.client.handle import RunHandle
from runctl.client.machines import Machines
from runctl.client.naming import memorable_name
from runctl.client.preparing import Plan, PreparedProject, prepare, refuse_data_of_others
from runctl.client.project import ProjectFiles
from runctl.client.reading import Reading
from runctl.client.redriving import Redriving
from runctl.client.resuming import (
    ResumePlan,
    name_of_resumed,
    point_to_resume,
    refuse_unless_resumable,
    resumed_request,
)
from runctl.client.spec import RunSpec
from runctl.client.submitting import submit
from runctl.client.tidying import Tidying
from runctl.errors import InvalidSpec, RunctlError
from runctl.model.ids import InstanceId, RunId, new_run_id
from runctl.model.machine import MachineType
from runctl.model.run import PurchaseOption, ResumedFrom, Run, RunRequest
from runctl.model.run import RunSpec as StoredSpec
from runctl.model.stop import StopAction, StopAnswer, StopCommand
from runctl.policy.budget_limits import default_max_cost
from runctl.policy.instance_profiles import role_of
from runctl.policy.needs import Needs

_BROKEN_OFF: Final = (
    "Nothing was launched, and nothing goes on costing. What of the project arrived is not sent again: give the "
    "command once more. There is nothing to undo: the bucket forgets what no run uses."
)


class Client(Reading):
    """Submits runs to a deployment and reads them. Without a deployment it uses the account that boto3 finds."""

    # -- submitting ----------------------------------------------------------------------------------------------

    def train(self, spec: RunSpec) -> RunHandle:
        """Upload the project and start the run.

        Raises InvalidSpec before anything is made when the training cannot be run.
        """
        return self._held(self.launch(self.plan(prepare(spec))))

    def handle(self, name: str) -> RunHandle:
        """Take a run up again by its id, the beginning of it, or `last`. Raises NotFoundError."""
        return self._held(self.run(name))

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
        return Machines(self._deployment, self.user, self._sleep, self._now)

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
        try:
            return self._code_sync().send(root, files, on_bytes)
        except RunctlError as error:
            error.hint = f"{error.hint} {_BROKEN_OFF}".strip()
            raise

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

    @property
    def redriving(self) -> Redriving:
        """Sending again what could not be delivered."""
        return Redriving(self._deployment)


def _is_known(catalogue: MachineTypes, name: str) -> bool:
    try:
        catalogue.machine_types([name])
    except InvalidSpec:
        return False
    return True
