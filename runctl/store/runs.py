"""The runs table in DynamoDB: `RunStore` of runctl/controller/ports.py."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from runctl.aws.errors import aws_errors
from runctl.errors import ConfigurationError, NotFoundError, StaleWriteError
from runctl.model import keys
from runctl.model.attempt import Attempt, Fact, FactKind, Wait
from runctl.model.budget import Booking
from runctl.model.ids import AttemptNumber, InstanceId, RunId, TaskToken
from runctl.model.names import Index
from runctl.model.price import Settlement, Spending
from runctl.model.run import CheckpointRef, Progress, Run, StopRequest
from runctl.model.status import RunStatus
from runctl.model.sweep import Sweep
from runctl.model.timeline import TimelineEvent
from runctl.store import items
from runctl.store.attributes import encode
from runctl.store.budgets import BudgetsTable
from runctl.store.ledger import month_update
from runctl.store.transactions import BOOKING_TRIES, Outcome, update_unless_refused, write, write_unless_refused

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    from runctl.store.items import Item

_NAMES: Final = {"#version": "version", "#open": items.OPEN}
_IS_OPEN: Final = "attribute_exists(#open)"
_IS_NEW: Final = f"attribute_not_exists({items.PARTITION_KEY})"
_EXISTS: Final = f"attribute_exists({items.PARTITION_KEY})"

_PAGE: Final = 1_000
"""Items of a page; DynamoDB ends one at 1 MB anyway (Amazon DynamoDB Developer Guide, "Querying tables")."""


class RunsTable:
    """Runs, attempts and their timeline in one table.

    A write that finds another version, or a run that has ended, raises StaleWriteError. Narrow writes (facts, tokens,
    progress) ask for just what they need and try again through another writer's transaction, so that none is lost.
    """

    def __init__(
        self,
        table_name: str,
        client: "DynamoDBClient",
        *,
        budgets: BudgetsTable | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table_name = table_name
        self._client = client
        self._budgets = budgets
        self._sleep = sleep

    @property
    def budgets(self) -> BudgetsTable:
        """The budgets, which are written together with runs."""
        if self._budgets is None:
            raise ConfigurationError("This store of runs was made without a budgets table.")
        return self._budgets

    # -- reads ---------------------------------------------------------------------------------------------------

    def run(self, run_id: RunId) -> Run | None:
        """Read a run; None only when there is no such item."""
        item = self._get(items.run_key(run_id))
        return None if item is None else items.run_of(item)

    def attempt(self, run_id: RunId, number: AttemptNumber) -> Attempt | None:
        """Read an attempt; None only when there is no such item."""
        item = self._get(items.attempt_key(run_id, number))
        return None if item is None else items.attempt_of(item)

    def attempts(self, run_id: RunId) -> tuple[Attempt, ...]:
        """Read all attempts of a run, first to last."""
        found = (items.attempt_of(item) for item in self._of_run(run_id, items.ATTEMPT_PREFIX))
        return tuple(sorted(found, key=lambda attempt: attempt.number))

    def events(self, run_id: RunId) -> tuple[TimelineEvent, ...]:
        """Read the timeline, oldest first."""
        return tuple(items.event_of(item) for item in self._of_run(run_id, items.EVENT_PREFIX))

    def attempt_of_machine(self, instance_id: InstanceId) -> tuple[RunId, AttemptNumber] | None:
        """Find the newest attempt that a machine belongs to (index: eventually consistent); None for strangers."""
        found = list(self._by_index(Index.BY_INSTANCE, "instance_id", instance_id))
        if not found:
            return None
        # A machine that a user gave may have served several runs; run ids sort by time, attempts by number.
        newest = max(found, key=lambda item: (_text(item, items.PARTITION_KEY), _text(item, items.SORT_KEY)))
        run_id = _text(newest, items.PARTITION_KEY).removeprefix(keys.run_partition(RunId("")))
        number = _text(newest, items.SORT_KEY).removeprefix(items.ATTEMPT_PREFIX)
        return RunId(run_id), AttemptNumber(int(number))

    def open_runs(self) -> Iterator[Run]:
        """Go through all runs that have not ended (index: eventually consistent), page after page."""
        for item in self._by_index(Index.OPEN_RUNS, items.OPEN, items.OPEN_VALUE):
            yield items.run_of(item)

    def unsettled_attempts(self) -> Iterator[Attempt]:
        """Go through all attempts whose machine's cost is not final (index: eventually consistent)."""
        for item in self._by_index(Index.OPEN_RUNS, items.OPEN, items.UNSETTLED_VALUE):
            yield items.attempt_of(item)

    def runs_of_project(self, project: str, limit: int, user: str | None = None) -> tuple[Run, ...]:
        """Read the newest runs of a project, or of one user of it, newest first (index: eventually consistent)."""
        found: list[Run] = []
        if limit < 1:
            return ()
        for item in self._by_index(Index.BY_PROJECT, "project", project, newest_first=True, first_page=limit):
            if user is None or item["user"] == {"S": user}:
                found.append(items.run_of(item))
            if len(found) == limit:
                break
        return tuple(found)

    # -- machines that are kept ----------------------------------------------------------------------------------

    def claim_machine(self, instance_id: InstanceId, run_id: RunId, *, held_by: RunId | None = None) -> RunId:
        """Take a kept machine for a run, or from `held_by`; answers the run that has it now."""
        item = items.machine_claim_item(instance_id, run_id)
        put: TransactWriteItemTypeDef = {
            "Put": {
                "TableName": self._table_name,
                "Item": item,
                "ConditionExpression": f"{_IS_NEW} OR run_id IN (:me, :before)",
                "ExpressionAttributeValues": {":me": {"S": run_id}, ":before": {"S": held_by or run_id}},
            }
        }
        if write_unless_refused(self._client, [put], sleep=self._sleep):
            return run_id
        found = self._get(items.machine_key(instance_id))
        return run_id if found is None else RunId(_text(found, "run_id"))

    # -- whole items, by version ---------------------------------------------------------------------------------

    def create_run(self, run: Run, events: Sequence[TimelineEvent] = ()) -> None:
        """Write a new run. Raises StaleWriteError when the id is taken."""
        self._write_or_raise([self._put(items.run_item(run), _IS_NEW), *self._event_puts(events)], f"run {run.run_id}")

    def save_run(self, run: Run, events: Sequence[TimelineEvent] = (), *, booking: Booking | None = None) -> Run:
        """Replace the run that was read as `run.version`, and move its money; answers it as written.

        Raises StaleWriteError when somebody else wrote first or when the stored run has ended.
        """
        put, saved = self._run_put(run)
        self._write_or_raise([put, *self._event_puts(events)], f"run {run.run_id}", booking)
        return saved

    def save_attempt(self, attempt: Attempt, events: Sequence[TimelineEvent] = ()) -> Attempt:
        """Replace the attempt that was read as `attempt.version`; answers it as written.

        Raises StaleWriteError when somebody else wrote first. Evidence may still come after the run has ended.
        """
        item = items.attempt_item(attempt.model_copy(update={"version": attempt.version + 1}))
        put = self._put(item, "#version = :version", {":version": attempt.version})
        self._write_or_raise([put, *self._event_puts(events)], f"attempt {attempt.number} of run {attempt.run_id}")
        return items.attempt_of(item)

    def begin_attempt(
        self, run: Run, attempt: Attempt, events: Sequence[TimelineEvent] = (), *, booking: Booking | None = None
    ) -> Run:
        """Write a new attempt and the run that now points to it, in one transaction; answers the run as written.

        Raises StaleWriteError when the attempt exists already, the run changed, or the run has ended.
        """
        put, saved = self._run_put(run)
        new = self._put(items.attempt_item(attempt), _IS_NEW)
        what = f"attempt {attempt.number} of run {run.run_id}"
        self._write_or_raise([put, new, *self._event_puts(events)], what, booking)
        return saved

    # -- narrow writes -------------------------------------------------------------------------------------------

    def record_fact(
        self, run_id: RunId, number: AttemptNumber, kind: FactKind, fact: Fact, event: TimelineEvent | None = None
    ) -> bool:
        """Write a fact and its event once, in one transaction; False when the fact is there already.

        Raises NotFoundError when there is no such attempt.
        """
        update = self._update(
            items.attempt_key(run_id, number),
            "facts.#kind = :fact",
            f"{_EXISTS} AND attribute_not_exists(facts.#kind)",
            names={"#kind": kind.value},
            values={":fact": fact.model_dump()},
        )
        if self._try_write([update, *self._event_puts((event,) if event else ())]):
            return True
        if self.attempt(run_id, number) is None:
            raise NotFoundError(f"There is no attempt {number} of run {run_id}.")
        return False

    def store_token(self, run_id: RunId, number: AttemptNumber, wait: Wait, token: TaskToken, turn: str = "") -> bool:
        """Keep the token that the attempt's waiting state is answered with, in place of any other, unless one of a
        later turn is there; says whether it was kept. Raises NotFoundError when there is no such attempt."""
        update = self._update(
            items.attempt_key(run_id, number),
            "tokens = :tokens, turn = :turn",
            f"{_EXISTS} AND (attribute_not_exists(turn) OR turn <= :turn)",
            values={":tokens": {wait.value: token}, ":turn": turn},
        )
        if self._try_write([update]):
            return True
        if self.attempt(run_id, number) is None:
            raise NotFoundError(f"There is no attempt {number} of run {run_id}.")
        return False

    def request_stop(
        self, run_id: RunId, request: StopRequest, event: TimelineEvent, *, extensions: int | None = None
    ) -> Run | None:
        """Write the stop request and the status STOPPING unless the run has ended; answers the run as it is then.

        The first request stands; a later one with `now` only raises `now`. None when the run has ended. With
        `extensions` nothing is written when the run was extended since. Raises NotFoundError when there is no such run.
        """
        unextended = "" if extensions is None else " AND extensions = :extensions"
        first = self._update(
            items.run_key(run_id),
            "stop_request = :request, #status = :stopping, updated_at = :at",
            f"{_IS_OPEN} AND attribute_not_exists(stop_request){unextended}",
            names={"#status": "status"},
            values={
                ":request": request.model_dump(),
                ":stopping": RunStatus.STOPPING,
                ":at": request.requested_at,
                **({} if extensions is None else {":extensions": extensions}),
            },
        )
        written = self._try_write([first, *self._event_puts((event,))])
        if not written and request.now:
            raised = self._update(
                items.run_key(run_id),
                "stop_request.#now = :now, updated_at = :at",
                f"{_IS_OPEN} AND stop_request.#now = :later",
                names={"#now": "now"},
                values={":now": True, ":later": False, ":at": request.requested_at},
            )
            self._try_write([raised, *self._event_puts((event,))])
        run = self.run(run_id)
        if run is None:
            raise NotFoundError(f"There is no run {run_id}.")
        return None if run.status.is_terminal else run

    def record_progress(self, run_id: RunId, progress: Progress) -> bool:
        """Keep the figures unless newer ones are there or the run has ended; says whether they were kept."""
        update = self._update(
            items.run_key(run_id),
            "progress = :progress",
            f"{_IS_OPEN} AND (attribute_not_exists(progress) OR progress.#at < :at)",
            names={"#at": "at"},
            values={":progress": progress.model_dump(), ":at": progress.at},
        )
        return self._try_update(update)

    def record_checkpoint(
        self, run_id: RunId, checkpoint: CheckpointRef, event: TimelineEvent, progress: Progress | None = None
    ) -> bool:
        """Keep the checkpoint, its event and the figures that came with it, unless it is neither of the run's current
        attempt nor of the one that hands over to it, is not newer, or the run has ended; says whether it was kept. A
        later attempt's is newer whatever the clocks of the two machines say."""
        update = self._update(
            items.run_key(run_id),
            "checkpoint = :checkpoint" + (", progress = :progress" if progress is not None else ""),
            f"{_IS_OPEN} AND (attempt = :attempt OR hand_over_from = :attempt)"
            " AND (attribute_not_exists(checkpoint) OR checkpoint.attempt < :attempt"
            " OR (checkpoint.attempt = :attempt AND checkpoint.saved_at < :at))",
            values={
                ":checkpoint": checkpoint.model_dump(),
                ":attempt": checkpoint.attempt,
                ":at": checkpoint.saved_at,
                **({":progress": progress.model_dump()} if progress is not None else {}),
            },
        )
        is_written = self._try_update(update)
        if not is_written:
            run = self.run(run_id)
            if run is None or run.checkpoint != checkpoint:
                return False
        # After the checkpoint: an invocation that ends between the two is repeated, and finds its checkpoint there.
        self._put_event(event)
        return is_written

    def settle(self, attempt: Attempt, settlement: Settlement, spending: Spending) -> bool:
        """Write what the attempt's machine cost, add it to its run's sums, ended or not, and to the ledger: once, in
        one transaction. False when it is settled already, or EC2 has not said that the machine goes."""
        of_attempt = self._update(
            items.attempt_key(attempt.run_id, attempt.number),
            "settlement = :settlement",
            "attribute_not_exists(settlement) AND attribute_exists(gone_at)",
            values={":settlement": settlement.model_dump()},
            remove="#open",
        )
        sums = {
            "settled_usd": settlement.usd,
            "settled_on_demand_usd": settlement.on_demand_usd,
            "recomputed_usd": settlement.recomputed_usd,
        }
        of_run = self._update(
            items.run_key(attempt.run_id),
            ", ".join(f"{name} = if_not_exists({name}, :zero) + :{name}" for name in sums),
            _EXISTS,
            values={":zero": 0, **{f":{name}": amount for name, amount in sums.items()}},
        )
        lines = [self._put(items.spending_item(spending), _IS_NEW)]
        if spending.is_late:
            lines.append(self._put(items.late_spending_item(spending), _IS_NEW))
        return self._try_write([of_attempt, of_run, *lines, month_update(self._table_name, spending)])

    def was_told(self, run_id: RunId, what: str) -> bool:
        """Whether people were told this of a run."""
        return self._get(items.told_key(run_id, what)) is not None

    def record_told(self, run_id: RunId, what: str, at: datetime) -> None:
        """Note that people were told this of a run; the first note stands."""
        self._try_write([self._put(items.told_key(run_id, what) | {"at": encode(at)}, _IS_NEW)])

    def last_sweep(self) -> Sweep | None:
        """Read what the reaper's last look came to; None before the first."""
        item = self._get(items.sweep_key())
        return None if item is None else items.sweep_of(item)

    def save_sweep(self, sweep: Sweep) -> None:
        """Replace the sweep that was read as `sweep.version`. Raises StaleWriteError when another look was faster."""
        item = items.sweep_item(sweep.model_copy(update={"version": sweep.version + 1}))
        put = (
            self._put(item, "#version = :version", {":version": sweep.version})
            if sweep.version
            else self._put(item, _IS_NEW)
        )
        self._write_or_raise([put], "the reaper's last look")

    def add_events(self, events: Sequence[TimelineEvent]) -> None:
        """Write timeline events; one that is there already is left as it is."""
        for event in events:
            self._try_write([self._put(items.event_item(event), _IS_NEW)])

    # -- the table -----------------------------------------------------------------------------------------------

    def _get(self, key: "Item") -> "Item | None":
        with aws_errors():
            answer = self._client.get_item(TableName=self._table_name, Key=key, ConsistentRead=True)
        return answer.get("Item")

    def _of_run(self, run_id: RunId, prefix: str) -> Iterator["Item"]:
        with aws_errors():
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table_name,
                KeyConditionExpression="#pk = :pk AND begins_with(#sk, :prefix)",
                ExpressionAttributeNames={"#pk": items.PARTITION_KEY, "#sk": items.SORT_KEY},
                ExpressionAttributeValues={":pk": {"S": keys.run_partition(run_id)}, ":prefix": {"S": prefix}},
                ConsistentRead=True,
            )
            for page in pages:
                yield from page["Items"]

    def _by_index(
        self, index: Index, attribute: str, value: str, *, newest_first: bool = False, first_page: int = _PAGE
    ) -> Iterator["Item"]:
        """Ask for a page as long as what is wanted; what is not in it lies behind things of others: for long ones."""
        page_size = min(first_page, _PAGE)
        after: dict[str, Any] | None = {}
        while after is not None:
            with aws_errors():
                page = self._client.query(
                    TableName=self._table_name,
                    IndexName=index.value,
                    KeyConditionExpression="#key = :value",
                    ExpressionAttributeNames={"#key": attribute},
                    ExpressionAttributeValues={":value": {"S": value}},
                    ScanIndexForward=not newest_first,
                    Limit=page_size,
                    **after,
                )
            yield from page["Items"]
            last, page_size = page.get("LastEvaluatedKey"), _PAGE
            after = {"ExclusiveStartKey": last} if last else None

    def _write_or_raise(
        self, actions: "Sequence[TransactWriteItemTypeDef]", what: str, booking: Booking | None = None
    ) -> None:
        if booking is None:
            written = write(self._client, actions) is Outcome.WRITTEN
        else:
            # A ledger has many writers: what another one adds to it at this moment does not make ours stale.
            actions = [*actions, *self.budgets.actions(booking)]
            written = write_unless_refused(self._client, actions, sleep=self._sleep, tries=BOOKING_TRIES)
        if not written:
            raise StaleWriteError(f"Somebody else wrote {what} first, or the run has ended.")

    def _try_write(self, actions: "Sequence[TransactWriteItemTypeDef]") -> bool:
        return write_unless_refused(self._client, actions, sleep=self._sleep)

    def _try_update(self, action: "TransactWriteItemTypeDef") -> bool:
        assert "Update" in action
        return update_unless_refused(self._client, action["Update"], sleep=self._sleep)

    def _put_event(self, event: TimelineEvent) -> None:
        with aws_errors():
            self._client.put_item(TableName=self._table_name, Item=items.event_item(event))

    def _run_put(self, run: Run) -> "tuple[TransactWriteItemTypeDef, Run]":
        item = items.run_item(run.model_copy(update={"version": run.version + 1}))
        put = self._put(item, f"#version = :version AND {_IS_OPEN}", {":version": run.version})
        return put, items.run_of(item)

    def _put(
        self, item: "Item", condition: str | None = None, values: Mapping[str, object] | None = None
    ) -> "TransactWriteItemTypeDef":
        if condition is None:
            return {"Put": {"TableName": self._table_name, "Item": item}}
        if values is None:
            return {"Put": {"TableName": self._table_name, "Item": item, "ConditionExpression": condition}}
        return {
            "Put": {
                "TableName": self._table_name,
                "Item": item,
                "ConditionExpression": condition,
                "ExpressionAttributeNames": _names_in(condition),
                "ExpressionAttributeValues": _encoded(values),
            }
        }

    def _event_puts(self, events: Sequence[TimelineEvent]) -> "list[TransactWriteItemTypeDef]":
        # A transaction may name an item once only; the same event twice is one event.
        distinct = {_text(item, items.SORT_KEY): item for item in map(items.event_item, events)}
        return [self._put(item) for item in distinct.values()]

    def _update(
        self,
        key: "Item",
        assignments: str,
        condition: str,
        *,
        values: Mapping[str, object],
        names: Mapping[str, str] | None = None,
        remove: str = "",
    ) -> "TransactWriteItemTypeDef":
        # Every write counts, the narrow ones too, so that a whole-item save never undoes one.
        update = f"SET {assignments}, #version = #version + :one" + (f" REMOVE {remove}" if remove else "")
        return {
            "Update": {
                "TableName": self._table_name,
                "Key": key,
                "UpdateExpression": update,
                "ConditionExpression": condition,
                "ExpressionAttributeNames": _names_in(update + condition) | dict(names or {}),
                "ExpressionAttributeValues": _encoded({**values, ":one": 1}),
            }
        }


def _names_in(expression: str) -> dict[str, str]:
    return {placeholder: name for placeholder, name in _NAMES.items() if placeholder in expression}


def _encoded(values: Mapping[str, object]) -> "dict[str, AttributeValueTypeDef]":
    return {name: encode(value) for name, value in values.items()}


def _text(item: "Item", attribute: str) -> str:
    value = item[attribute]
    return value.get("S", "")
