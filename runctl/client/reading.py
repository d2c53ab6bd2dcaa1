"""Reading runs: how they stand, what they printed, left behind and cost."""

import getpass
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from runctl.client.budgets import Budgets
from runctl.client.checkpoints import checkpoint_named, complete_checkpoints, output_of
from runctl.client.deployment import Deployment, Entering, Subscribing
from runctl.client.documents import run_document
from runctl.client.downloading import Download, FetchedFile, fetch, wanted_files
from runctl.client.following import LogEntry, follow_log
from runctl.client.inside import Inside, machine_to_enter
from runctl.client.live_prices import with_live_prices
from runctl.client.lookup import find_run
from runctl.client.metrics import run_metrics
from runctl.client.money import Resource, Unsettled, attempt_costs_document, resources, unsettled
from runctl.client.place import Place
from runctl.client.project import find_project_root
from runctl.client.report.page import report_page
from runctl.client.report.record import read_record
from runctl.client.resuming import chain_of
from runctl.client.watching import RunView, RunWatch
from runctl.errors import RunctlError
from runctl.model.attempt import Attempt
from runctl.model.checkpoint import Manifest
from runctl.model.figures import Figures
from runctl.model.history import MetricsHistory
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.run import ResumedFrom, Run
from runctl.model.timeline import TimelineEvent
from runctl.policy.reports import Report, report

_FIRST_LOOK_S: Final = 0.25
_LOOKS_S: Final = 1.0
"""Longest time between two looks at a run. A look is one read of one item: $0.000000125 (DynamoDB pricing)."""

_PATIENCE_S: Final = 300.0
"""How long a wait goes on although AWS does not answer; the run goes on anyway."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Reading:
    """What can be asked of a deployment; changes nothing of any run.

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

    # -- asking --------------------------------------------------------------------------------------------------

    def run(self, name: str) -> Run:
        """Find a run by its id, the beginning of it, or `last`. Raises NotFoundError."""
        return find_run(self._deployment.runs, self._project, name)

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

    def unsettled(self) -> Unsettled:
        """What machines have cost that run, or ended so lately that the ledger does not hold them yet."""
        deployment = self._deployment
        return unsettled(tuple(deployment.runs.unsettled_attempts()), deployment.prices, self._now())

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


def _connected() -> Deployment:
    # boto3 takes a fifth of a second to import; who brings a deployment need not wait for it.
    from runctl.client.connect import connect

    return connect()
