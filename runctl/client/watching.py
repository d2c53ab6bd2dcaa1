"""Looking at a run again and again, all that moves of it, and reading nothing twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from runctl.client.deployment import Deployment
from runctl.client.live_prices import with_live_prices
from runctl.client.metrics import MetricsReader
from runctl.errors import NotFoundError, RunctlError
from runctl.model.attempt import Attempt
from runctl.model.history import MetricsHistory
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.price import PriceStep
from runctl.model.run import Run
from runctl.model.timeline import TimelineEvent
from runctl.policy.cost import RunCost, run_cost

LOOKS_S: Final = 2.0
"""Between two looks. One is a read and two queries of DynamoDB, and a read of CloudWatch Logs, which allows 25 a second
(its quotas page)."""

PATIENCE_S: Final = 300.0
"""How long the watching goes on although AWS does not answer; the run goes on anyway."""

_PRICES_FOR: Final = timedelta(minutes=1)
"""How long spot prices are taken to hold; EC2 moves them a few times a day."""


@dataclass(frozen=True)
class RunView:
    """A run at one look."""

    run: Run
    attempts: tuple[Attempt, ...]
    events: tuple[TimelineEvent, ...]
    metrics: tuple[MetricsHistory, ...]
    read_at: datetime

    @property
    def cost(self) -> RunCost:
        """What it has cost so far."""
        return run_cost(self.attempts, self.read_at)


class RunWatch:
    """Looks at one run until it has ended."""

    def __init__(
        self, deployment: Deployment, run_id: RunId, *, now: Callable[[], datetime], sleep: Callable[[float], None]
    ) -> None:
        self._deployment = deployment
        self._run_id = run_id
        self._now = now
        self._sleep = sleep
        self._readers: dict[AttemptNumber, MetricsReader] = {}
        self._read_whole: set[AttemptNumber] = set()
        self._steps: dict[AttemptNumber, tuple[PriceStep, ...]] = {}
        self._priced_at: datetime | None = None

    def views(self) -> Iterator[RunView]:
        """Look every two seconds; the last view is of the ended run.

        Goes on through disturbances of AWS for five minutes, then raises what AWS answered.
        """
        silent_s = 0.0
        while True:
            try:
                view = self._look()
            except RunctlError as error:
                if not error.retryable or silent_s >= PATIENCE_S:
                    raise
                silent_s += LOOKS_S
            else:
                silent_s = 0.0
                yield view
                if view.run.status.is_terminal:
                    return
            self._sleep(LOOKS_S)

    def _look(self) -> RunView:
        now = self._now()
        run = self._deployment.runs.run(self._run_id)
        if run is None:
            raise NotFoundError(f"There is no run {self._run_id}.", hint="List runs with: runctl ps")
        attempts = self._priced(self._deployment.runs.attempts(self._run_id), now)
        events = self._deployment.runs.events(self._run_id)
        return RunView(run, attempts, events, self._metrics(attempts), now)

    def _priced(self, attempts: tuple[Attempt, ...], now: datetime) -> tuple[Attempt, ...]:
        is_new = any(attempt.is_unsettled and attempt.number not in self._steps for attempt in attempts)
        if is_new or self._priced_at is None or now - self._priced_at >= _PRICES_FOR:
            self._priced_at = now
            priced = with_live_prices(attempts, self._deployment.prices, now)
            self._steps = {attempt.number: attempt.price_steps for attempt in priced}
            return priced
        return tuple(
            attempt.model_copy(update={"price_steps": self._steps[attempt.number]})
            if attempt.is_unsettled and attempt.number in self._steps
            else attempt
            for attempt in attempts
        )

    def _metrics(self, attempts: tuple[Attempt, ...]) -> tuple[MetricsHistory, ...]:
        found: list[MetricsHistory] = []
        for attempt in attempts:
            reader = self._readers.setdefault(
                attempt.number, MetricsReader(self._deployment.logs, self._run_id, attempt.number)
            )
            # One that had ended at the last look has been read since: its stream has nothing new.
            if attempt.number not in self._read_whole:
                reader.read_on()
            if attempt.ended_at is not None:
                self._read_whole.add(attempt.number)
            if reader.history is not None:
                found.append(reader.history)
        return tuple(found)
