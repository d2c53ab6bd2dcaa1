"""The Python API: submit a training, and ask how it stands."""

import getpass
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from runctl.client.archive import write_archive
from runctl.client.deployment import Deployment, MachineTypes
from runctl.client.documents import run_document
from runctl.client.estimate import Estimate, estimate
from runctl.client.following import LogEntry, follow_log
from runctl.client.lookup import find_run
from runctl.client.place import Place
from runctl.client.project import (
    ProjectFiles,
    collect_files,
    find_project_root,
    is_empty_project,
    module_in_project,
    script_in_project,
)
from runctl.client.spec import RunSpec
from runctl.errors import InvalidSpec, RunctlError, StaleWriteError
from runctl.model.attempt import Attempt
from runctl.model.decision import ExecutionInput
from runctl.model.ids import AttemptNumber, RunId, new_run_id
from runctl.model.machine import MachineType
from runctl.model.run import CodeRef, Run
from runctl.model.status import RunStatus
from runctl.model.stop import StopAnswer, StopCommand
from runctl.model.timeline import TimelineEvent, TimelineKind

_FIRST_LOOK_S: Final = 0.25
_LOOKS_S: Final = 1.0
"""Longest time between two looks at a run. A look is one read of one item: $0.000000125 (DynamoDB pricing)."""

_PATIENCE_S: Final = 300.0
"""How long a wait goes on although AWS does not answer; the run goes on anyway."""


@dataclass(frozen=True)
class PreparedProject:
    """A training that was looked at on this machine: the script is there and the files to send are known."""

    spec: RunSpec
    root: Path
    files: ProjectFiles


@dataclass(frozen=True)
class Plan:
    """A training that can be launched: its machines exist and its cost is estimated. Nothing was made for it yet."""

    prepared: PreparedProject
    estimate: Estimate


def prepare(spec: RunSpec) -> PreparedProject:
    """Look at the project on this machine. Raises InvalidSpec for what cannot be sent or run."""
    root = spec.project_dir or find_project_root(Path.cwd()) or Path.cwd()
    if root.is_dir() and is_empty_project(root):
        raise InvalidSpec(
            f"The project {root} is empty: there is nothing to send to the machine.",
            hint="Run the command in the folder of your training script.",
        )
    script = _script(spec, root)
    files = collect_files(root, exclude=spec.exclude, script=script or None, max_bytes=spec.max_project_bytes)
    return PreparedProject(spec.model_copy(update={"script": script}), root, files)


def _script(spec: RunSpec, root: Path) -> str:
    if spec.command:
        return ""
    if spec.module and not spec.script:
        return module_in_project(spec.module, root)
    return script_in_project(root / spec.script, root)


def _name(spec: RunSpec) -> str:
    found = spec.name or spec.module or Path(spec.command[0] if spec.command else spec.script).stem
    return found[:64]


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
    ) -> None:
        self._deployment = deployment or _connected()
        self._user = user or getpass.getuser()
        self._project = project or (find_project_root(Path.cwd()) or Path.cwd()).name
        self._now = now
        self._sleep = sleep

    @property
    def place(self) -> Place:
        """Account and region."""
        return self._deployment.place

    # -- submitting ----------------------------------------------------------------------------------------------

    def train(self, spec: RunSpec) -> Run:
        """Upload the project and start the run; answers it as submitted.

        Raises InvalidSpec before anything is made when the training cannot be run.
        """
        return self.launch(self.plan(prepare(spec)))

    def plan(self, prepared: PreparedProject) -> Plan:
        """Check the instance types and estimate the cost; makes nothing. Raises InvalidSpec for an unknown type."""
        spec = prepared.spec
        types = self._machine_types(spec.instance_types)
        architectures = sorted({machine_type.architecture for machine_type in types})
        if len(architectures) > 1:
            raise InvalidSpec(
                f"The instance types {', '.join(spec.instance_types)} have different processors: "
                f"{' and '.join(architectures)}.",
                hint="Name types of one architecture: an environment made for one does not run on the other.",
            )
        return Plan(
            prepared,
            estimate(
                self._deployment.prices,
                instance_types=spec.instance_types,
                option=spec.purchase_option,
                runtime=timedelta(seconds=spec.max_runtime_s),
                limit_usd=spec.max_cost_usd,
            ),
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

    def launch(self, plan: Plan, *, on_upload: Callable[[CodeRef, bool], None] = lambda _code, _sent: None) -> Run:
        """Upload the code unless it is there, write the run, start its execution.

        `on_upload` hears of the archive and whether it had to be sent. When the start is refused the run is ended
        as FAILED. When this process dies before the start, an open run without an execution is left, which
        `status` shows and the reaper concludes.
        """
        spec = plan.prepared.spec
        code = self._upload(plan.prepared, on_upload)
        now = self._now()
        run_id = new_run_id(now)
        run = Run(
            run_id=run_id,
            name=_name(spec),
            project=spec.project or self._project,
            user=self._user,
            spec=spec.stored(code),
            message="Submitted.",
            created_at=now,
            updated_at=now,
            execution_arn=self.place.execution_arn(run_id),
            estimated_usd=plan.estimate.total_usd,
        )
        self._deployment.runs.create_run(run, [_submitted(run)])
        try:
            self._deployment.executions.start(run_id, ExecutionInput.of(run))
        except RunctlError as error:
            if self._end_unstarted(run, error):
                raise
        return run

    def _upload(self, prepared: PreparedProject, on_upload: Callable[[CodeRef, bool], None]) -> CodeRef:
        with tempfile.TemporaryDirectory(prefix="runctl-") as folder:
            archive = write_archive(prepared.files.files, Path(folder) / "code.tar.gz")
            is_missing = not self._deployment.code.has(archive.code)
            if is_missing:
                self._deployment.code.upload(archive.code, archive.path)
            on_upload(archive.code, is_missing)
            return archive.code

    def _end_unstarted(self, run: Run, error: RunctlError) -> bool:
        """Leave no run that seems to be about to begin; says whether it was ended.

        AWS may have started it and only the answer was lost: a run that was admitted already goes on, and one that was
        not is not admitted any more.
        """
        now = self._now()
        ended = run.model_copy(
            update={
                "status": RunStatus.FAILED,
                "reason": error.reason,
                "message": f"The execution could not be started: {error.message}",
                "updated_at": now,
                "ended_at": now,
            }
        )
        concluded = TimelineEvent(
            run_id=run.run_id, event_id="concluded", at=now, kind=TimelineKind.CONCLUDED, text=ended.message
        )
        try:
            self._deployment.runs.save_run(ended, [concluded])
        except StaleWriteError:
            return False
        return True

    # -- asking --------------------------------------------------------------------------------------------------

    def run(self, name: str) -> Run:
        """Find a run by its id, the beginning of it, or `last`. Raises NotFoundError."""
        return find_run(self._deployment.runs, self._project, name)

    def runs(self, limit: int = 20) -> tuple[Run, ...]:
        """The project's newest runs, newest first."""
        return self._deployment.runs.runs_of_project(self._project, limit)

    def attempts(self, run_id: RunId) -> tuple[Attempt, ...]:
        """The run's attempts, first to last."""
        return self._deployment.runs.attempts(run_id)

    def events(self, run_id: RunId) -> tuple[TimelineEvent, ...]:
        """What happened to the run, in order."""
        return self._deployment.runs.events(run_id)

    def document(self, run: Run) -> dict[str, Any]:
        """The run as JSON output shows it."""
        return run_document(run, self.attempts(run.run_id), self.place, self._now())

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

    # -- ending --------------------------------------------------------------------------------------------------

    def cancel(self, run_id: RunId, *, now: bool = False) -> StopAnswer:
        """Let the run save, then end it; `now` ends its machine at once."""
        return self._deployment.stopper.stop(StopCommand(run_id=run_id, requested_by=self._user, now=now))


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


def _submitted(run: Run) -> TimelineEvent:
    return TimelineEvent(
        run_id=run.run_id,
        event_id="submitted",
        at=run.created_at,
        kind=TimelineKind.SUBMITTED,
        text=f"{run.user} submitted {run.spec.label} on {' or '.join(run.spec.instance_types)}, "
        f"{run.spec.purchase_option.value}.",
        data={"code": run.spec.code.sha256},
    )
