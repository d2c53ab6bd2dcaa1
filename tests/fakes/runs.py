"""A runs table in memory: `RunStore` of runctl/controller/ports.py, held to the same contract suite as DynamoDB's."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal

from runctl.errors import NotFoundError, StaleWriteError
from runctl.model.attempt import Attempt, Fact, FactKind, Wait
from runctl.model.base import iso
from runctl.model.budget import Booking
from runctl.model.figures import Figures
from runctl.model.ids import AttemptNumber, InstanceId, RunId, TaskToken
from runctl.model.price import Settlement, Spending
from runctl.model.run import CheckpointRef, Progress, Run, StopRequest
from runctl.model.status import RunStatus
from runctl.model.sweep import Sweep
from runctl.model.timeline import TimelineEvent
from tests.fakes.budgets import InMemoryBudgets


class InMemoryRunStore:
    """Keeps deep copies, so that nobody changes what is stored by holding on to it; without `copies` it trusts that
    nobody does, and is four times as fast.

    `before` is called with the name of each method before it does anything: a test lets somebody else act there.
    `writes` counts what DynamoDB would charge for as writes: one a method, and one an event.
    """

    def __init__(self, *, copies: bool = True) -> None:
        self._copies = copies
        self._budgets = InMemoryBudgets()
        self._runs: dict[RunId, Run] = {}
        self._attempts: dict[RunId, dict[AttemptNumber, Attempt]] = {}
        self._events: dict[RunId, dict[tuple[str, str], TimelineEvent]] = {}
        self.before: Callable[[str], None] | None = None
        self.writes = 0
        self.ledger: list[Spending] = []
        self._sweep: Sweep | None = None
        self._claims: dict[InstanceId, RunId] = {}
        self.told: dict[tuple[RunId, str], datetime] = {}
        self.seen: Figures | None = None

    def claim_machine(self, instance_id: InstanceId, run_id: RunId, *, held_by: RunId | None = None) -> RunId:
        self._announce("claim_machine")
        if self._claims.get(instance_id) in (None, run_id, held_by):
            self._claims[instance_id] = run_id
            self.writes += 1
        return self._claims[instance_id]

    @property
    def budgets(self) -> InMemoryBudgets:
        return self._budgets

    # -- reads ---------------------------------------------------------------------------------------------------

    def run(self, run_id: RunId) -> Run | None:
        self._announce("run")
        run = self._runs.get(run_id)
        return None if run is None else run.model_copy(deep=self._copies)

    def attempt(self, run_id: RunId, number: AttemptNumber) -> Attempt | None:
        self._announce("attempt")
        attempt = self._attempts.get(run_id, {}).get(number)
        return None if attempt is None else attempt.model_copy(deep=self._copies)

    def attempts(self, run_id: RunId) -> tuple[Attempt, ...]:
        self._announce("attempts")
        found = self._attempts.get(run_id, {})
        return tuple(found[number].model_copy(deep=self._copies) for number in sorted(found))

    def events(self, run_id: RunId) -> tuple[TimelineEvent, ...]:
        self._announce("events")
        found = self._events.get(run_id, {})
        return tuple(found[key].model_copy(deep=self._copies) for key in sorted(found))

    def attempt_of_machine(self, instance_id: InstanceId) -> tuple[RunId, AttemptNumber] | None:
        self._announce("attempt_of_machine")
        found = [
            (run_id, attempt.number)
            for run_id, attempts in self._attempts.items()
            for attempt in attempts.values()
            if attempt.instance_id == instance_id
        ]
        return max(found, default=None)

    def unsettled_attempts(self) -> Iterator[Attempt]:
        self._announce("unsettled_attempts")
        for attempts in list(self._attempts.values()):
            for attempt in list(attempts.values()):
                if attempt.is_unsettled:
                    yield attempt.model_copy(deep=True)

    def open_runs(self) -> Iterator[Run]:
        self._announce("open_runs")
        for run in list(self._runs.values()):
            if not run.status.is_terminal:
                yield run.model_copy(deep=self._copies)

    def peek(self, run_id: RunId) -> Run:
        """Look at a run as it is stored, for a test; nobody is told and nothing is copied."""
        return self._runs[run_id]

    def peek_attempt(self, run_id: RunId, number: AttemptNumber) -> Attempt:
        """Look at an attempt as it is stored."""
        return self._attempts[run_id][number]

    # -- whole items, by version ---------------------------------------------------------------------------------

    def create_run(self, run: Run, events: Sequence[TimelineEvent] = ()) -> None:
        self._announce("create_run")
        if run.run_id in self._runs:
            raise StaleWriteError(f"The run {run.run_id} is there already.")
        self._write_run(run)
        self._write_events(events)

    def save_run(self, run: Run, events: Sequence[TimelineEvent] = (), *, booking: Booking | None = None) -> Run:
        self._announce("save_run")
        with self._budgets.lock:
            saved = self._next_version(run)
            self._move_money(booking)
            self._write_run(saved)
        self._write_events(events)
        return saved.model_copy(deep=self._copies)

    def save_attempt(self, attempt: Attempt, events: Sequence[TimelineEvent] = ()) -> Attempt:
        self._announce("save_attempt")
        stored = self._attempts.get(attempt.run_id, {}).get(attempt.number)
        if stored is None or stored.version != attempt.version:
            raise StaleWriteError(f"Somebody else wrote attempt {attempt.number} of run {attempt.run_id} first.")
        saved = attempt.model_copy(update={"version": attempt.version + 1}, deep=self._copies)
        self._write_attempt(saved)
        self._write_events(events)
        return saved.model_copy(deep=self._copies)

    def begin_attempt(
        self, run: Run, attempt: Attempt, events: Sequence[TimelineEvent] = (), *, booking: Booking | None = None
    ) -> Run:
        self._announce("begin_attempt")
        with self._budgets.lock:
            saved = self._next_version(run)
            if attempt.number in self._attempts.get(attempt.run_id, {}):
                raise StaleWriteError(f"Attempt {attempt.number} of run {attempt.run_id} is there already.")
            self._move_money(booking)
            self._write_run(saved)
            self._write_attempt(attempt)
        self._write_events(events)
        return saved.model_copy(deep=self._copies)

    # -- narrow writes -------------------------------------------------------------------------------------------

    def record_fact(
        self, run_id: RunId, number: AttemptNumber, kind: FactKind, fact: Fact, event: TimelineEvent | None = None
    ) -> bool:
        self._announce("record_fact")
        attempt = self._require(run_id, number)
        if kind in attempt.facts:
            return False
        facts = {**attempt.facts, kind: fact.model_copy(deep=self._copies)}
        self._write_attempt(attempt.model_copy(update={"facts": facts, "version": attempt.version + 1}))
        self._write_events(() if event is None else (event,))
        return True

    def store_token(self, run_id: RunId, number: AttemptNumber, wait: Wait, token: TaskToken, turn: str = "") -> bool:
        self._announce("store_token")
        attempt = self._require(run_id, number)
        if attempt.turn > turn:
            return False
        update = {"tokens": {wait: token}, "turn": turn, "version": attempt.version + 1}
        self._write_attempt(attempt.model_copy(update=update))
        return True

    def request_stop(
        self, run_id: RunId, request: StopRequest, event: TimelineEvent, *, extensions: int | None = None
    ) -> Run | None:
        self._announce("request_stop")
        run = self._runs.get(run_id)
        if run is None:
            raise NotFoundError(f"There is no run {run_id}.")
        if run.status.is_terminal:
            return None
        standing = run.stop_request
        if standing is None and extensions not in (None, run.extensions):
            return run.model_copy(deep=self._copies)
        if standing is None:
            self._change_run(run, stop_request=request, status=RunStatus.STOPPING, updated_at=request.requested_at)
            self._write_events((event,))
        elif request.now and not standing.now:
            raised = standing.model_copy(update={"now": True})
            self._change_run(run, stop_request=raised, updated_at=request.requested_at)
            self._write_events((event,))
        return self._runs[run_id].model_copy(deep=self._copies)

    def record_progress(self, run_id: RunId, progress: Progress) -> bool:
        self._announce("record_progress")
        run = self._runs.get(run_id)
        if run is None or run.status.is_terminal:
            return False
        if run.progress is not None and run.progress.at >= progress.at:
            return False
        self._change_run(run, progress=progress)
        return True

    def record_checkpoint(
        self, run_id: RunId, checkpoint: CheckpointRef, event: TimelineEvent, progress: Progress | None = None
    ) -> bool:
        self._announce("record_checkpoint")
        run = self._runs.get(run_id)
        if run is None or run.status.is_terminal or checkpoint.attempt not in (run.attempt, run.hand_over_from):
            return False
        known = run.checkpoint
        if known is not None and (known.attempt, known.saved_at) >= (checkpoint.attempt, checkpoint.saved_at):
            return False
        self._change_run(run, checkpoint=checkpoint, **({} if progress is None else {"progress": progress}))
        self._write_events((event,))
        return True

    def settle(self, attempt: Attempt, settlement: Settlement, spending: Spending) -> bool:
        self._announce("settle")
        stored = self._attempts.get(attempt.run_id, {}).get(attempt.number)
        run = self._runs.get(attempt.run_id)
        if stored is None or run is None or stored.settlement is not None or stored.gone_at is None:
            return False
        self._write_attempt(stored.model_copy(update={"settlement": settlement, "version": stored.version + 1}))
        self._change_run(
            run,
            settled_usd=run.settled_usd + settlement.usd,
            settled_on_demand_usd=run.settled_on_demand_usd + settlement.on_demand_usd,
            recomputed_usd=run.recomputed_usd + settlement.recomputed_usd,
        )
        self.ledger.append(spending)
        self.writes += 1
        return True

    def last_sweep(self) -> Sweep | None:
        self._announce("last_sweep")
        return self._sweep

    def save_sweep(self, sweep: Sweep) -> None:
        self._announce("save_sweep")
        if (0 if self._sweep is None else self._sweep.version) != sweep.version:
            raise StaleWriteError("Somebody else wrote the reaper's last look first.")
        self._sweep = sweep.model_copy(update={"version": sweep.version + 1})
        self.writes += 1

    def was_told(self, run_id: RunId, what: str) -> bool:
        self._announce("was_told")
        return (run_id, what) in self.told

    def record_told(self, run_id: RunId, what: str, at: datetime) -> None:
        self._announce("record_told")
        self.told.setdefault((run_id, what), at)
        self.writes += 1

    # -- the ledger ----------------------------------------------------------------------------------------------

    def month_usd(self, month: str) -> Decimal:
        return sum((line.usd for line in self.ledger if iso(line.ended_at)[:7] == month), Decimal(0))

    def spendings(self, first: date, last: date) -> Iterator[Spending]:
        for line in sorted(self.ledger, key=lambda each: each.ended_at):
            if first <= line.ended_at.date() <= last:
                yield line

    def late_spendings(self, first: date, last: date) -> Iterator[Spending]:
        return (line for line in self.ledger if line.is_late and first <= line.told_on <= last)

    def figures(self) -> Figures | None:
        return self.seen

    def save_figures(self, figures: Figures) -> None:
        self.seen = figures
        self.writes += 1

    def add_events(self, events: Sequence[TimelineEvent]) -> None:
        self._announce("add_events")
        for event in events:
            self._events.setdefault(event.run_id, {}).setdefault(_key(event), event.model_copy(deep=self._copies))
            self.writes += 1

    # -- the table -----------------------------------------------------------------------------------------------

    def _announce(self, method: str) -> None:
        if self.before is not None:
            self.before(method)

    def _move_money(self, booking: Booking | None) -> None:
        if booking is None:
            return
        if not self._budgets.write(booking):
            raise StaleWriteError(f"Somebody else moved the money of run {booking.run_id} first.")
        self.writes += 1 + len(booking.changes)

    def _require(self, run_id: RunId, number: AttemptNumber) -> Attempt:
        attempt = self._attempts.get(run_id, {}).get(number)
        if attempt is None:
            raise NotFoundError(f"There is no attempt {number} of run {run_id}.")
        return attempt

    def _next_version(self, run: Run) -> Run:
        stored = self._runs.get(run.run_id)
        if stored is None or stored.version != run.version or stored.status.is_terminal:
            raise StaleWriteError(f"Somebody else wrote run {run.run_id} first, or the run has ended.")
        return run.model_copy(update={"version": run.version + 1}, deep=self._copies)

    def _change_run(self, run: Run, **changes: object) -> None:
        self._write_run(run.model_copy(update={**changes, "version": run.version + 1}))

    def _write_run(self, run: Run) -> None:
        self._runs[run.run_id] = run.model_copy(deep=self._copies)
        self.writes += 1

    def _write_attempt(self, attempt: Attempt) -> None:
        self._attempts.setdefault(attempt.run_id, {})[attempt.number] = attempt.model_copy(deep=self._copies)
        self.writes += 1

    def _write_events(self, events: Sequence[TimelineEvent]) -> None:
        for event in events:
            self._events.setdefault(event.run_id, {})[_key(event)] = event.model_copy(deep=self._copies)
            self.writes += 1


def _key(event: TimelineEvent) -> tuple[str, str]:
    return iso(event.at), event.event_id
