"""One run as a script or a notebook holds it: each question is asked anew, so that the answer is of now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runctl.model.attempt import Attempt
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.run import Progress, Run
from runctl.model.status import Reason, RunStatus
from runctl.model.stop import StopAnswer
from runctl.model.timeline import TimelineEvent
from runctl.policy.cost import RunCost, run_cost

if TYPE_CHECKING:
    from runctl.client.client import Client
    from runctl.client.downloading import FetchedFile


class RunHandle:
    """A submitted run. It holds the id alone: drop it, and the run goes on; take it up again with `Client.handle`."""

    def __init__(self, client: Client, run_id: RunId, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self.run_id = run_id

    def __repr__(self) -> str:
        return f"<RunHandle {self.run_id}>"

    @property
    def run(self) -> Run:
        """All that the table says of the run. Raises NotFoundError."""
        return self._client.run(self.run_id)

    @property
    def status(self) -> RunStatus:
        """How it stands."""
        return self.run.status

    @property
    def reason(self) -> Reason | None:
        """Why it ended; None while it has not."""
        return self.run.reason

    @property
    def progress(self) -> Progress | None:
        """Step, loss and throughput, as last told."""
        return self.run.progress

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The machines that tried, first to last."""
        return self._client.attempts(self.run_id)

    @property
    def cost(self) -> RunCost:
        """What it has cost so far, in US dollars."""
        return run_cost(self.attempts, self._now())

    @property
    def document(self) -> dict[str, Any]:
        """The run as `runctl --output json status` shows it."""
        return self._client.document(self.run)

    def wait(self, on_change: Callable[[Run], None] = lambda _run: None) -> Run:
        """Look until it has ended, and answer it; `on_change` sees it first and whenever it changed."""
        return self._client.wait(self.run_id, on_change)

    def logs(self, *, attempt: AttemptNumber | None = None, follow: bool = False) -> Iterator[str]:
        """Lines that the training printed; `follow` goes on until the run has ended, across machines."""
        for entry in self._client.logs(self.run_id, attempt=attempt, follow=follow):
            yield entry.line.text

    def events(self) -> tuple[TimelineEvent, ...]:
        """What happened to it, in order."""
        return self._client.events(self.run_id)

    def cancel(self, *, now: bool = False) -> StopAnswer:
        """Let it save, then end it; `now` ends its machine at once."""
        return self._client.cancel(self.run_id, now=now)

    def extend(
        self,
        *,
        runtime: timedelta | None = None,
        more_runtime: timedelta | None = None,
        cost_usd: Decimal | None = None,
        more_usd: Decimal | None = None,
    ) -> StopAnswer:
        """Let it train longer or cost more: in all (`runtime`, `cost_usd`), or beyond its limit of now. Raises
        BudgetExceeded when a budget has no room for it: then nothing was changed."""
        return self._client.extend(
            self.run, runtime=runtime, more_runtime=more_runtime, cost_usd=cost_usd, more_usd=more_usd
        )

    def download(self, folder: Path) -> tuple[FetchedFile, ...]:
        """Fetch its newest checkpoint and its output into a folder, each file checked by its hash."""
        return self._client.download(self._client.plan_download(self.run, folder))

    def resume(self) -> RunHandle:
        """Start a new run that goes on from this ended one's newest checkpoint. Raises InvalidSpec."""
        resumed = self._client.resume(self._client.plan_resume(self.run))
        return RunHandle(self._client, resumed.run_id, self._now)
