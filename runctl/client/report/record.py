"""All that is known of one run, read once for a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from runctl.client.deployment import Deployment
from runctl.client.following import LogEntry, last_lines
from runctl.client.live_prices import with_live_prices
from runctl.client.metrics import run_metrics
from runctl.model.attempt import Attempt
from runctl.model.history import MetricsHistory
from runctl.model.ids import AttemptNumber
from runctl.model.run import Run
from runctl.model.timeline import TimelineEvent
from runctl.policy.cost import RunCost, run_cost

LOG_LINES: Final = 200
"""Last lines of the log in a report."""


@dataclass(frozen=True)
class RunRecord:
    """A run as it stood at `read_at`."""

    run: Run
    attempts: tuple[Attempt, ...]
    events: tuple[TimelineEvent, ...]
    metrics: tuple[MetricsHistory, ...]
    log: tuple[LogEntry, ...]
    console_url: str | None
    read_at: datetime

    @property
    def cost(self) -> RunCost:
        """What it has cost."""
        return run_cost(self.attempts, self.read_at)

    @property
    def began_at(self) -> datetime:
        """The beginning of its time axis."""
        return min([self.run.created_at, *(history.began_at for history in self.metrics)])

    @property
    def ended_at(self) -> datetime:
        """The end of its time axis; now, while it goes on."""
        return self.run.ended_at or self.read_at


def read_record(deployment: Deployment, run: Run, now: datetime) -> RunRecord:
    """Read a run's attempts, events, figures and the end of its log."""
    attempts = deployment.runs.attempts(run.run_id)
    return RunRecord(
        run=run,
        attempts=with_live_prices(attempts, deployment.prices, now),
        events=deployment.runs.events(run.run_id),
        metrics=run_metrics(deployment, run.run_id, attempts),
        log=last_lines(deployment, run.run_id, numbers(attempts), LOG_LINES),
        console_url=deployment.place.console_url(run.execution_arn),
        read_at=now,
    )


def numbers(attempts: Sequence[Attempt]) -> tuple[AttemptNumber, ...]:
    """The attempts' numbers."""
    return tuple(attempt.number for attempt in attempts)
