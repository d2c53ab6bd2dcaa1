"""Runs, attempts and timeline events as items of the runs table (docs/architecture.md, "The table").

Attributes are the models' fields by name. A field that is None is left out, for an index key must not be NULL.
"""

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from runctl.model import keys
from runctl.model.attempt import Attempt
from runctl.model.base import Model, iso
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.price import Spending
from runctl.model.run import Run
from runctl.model.sweep import Sweep
from runctl.model.timeline import TimelineEvent
from runctl.store.attributes import decode, encode, plain

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item: TypeAlias = dict[str, AttributeValueTypeDef]

PARTITION_KEY: Final = "pk"
SORT_KEY: Final = "sk"
OPEN: Final = "open"
"""Present, with value OPEN_VALUE, on META of runs that have not ended: what the sparse index goes by, and what the
conditions ask for that keep terminal states as they are."""
OPEN_VALUE: Final = "1"
UNSETTLED_VALUE: Final = "unsettled"
"""Value of OPEN on attempts whose machine's cost is not final: the same sparse index lists them."""

ATTEMPT_PREFIX: Final = "ATTEMPT#"
EVENT_PREFIX: Final = "EVENT#"


def run_key(run_id: RunId) -> "Item":
    """Key of a run's META item."""
    return {PARTITION_KEY: {"S": keys.run_partition(run_id)}, SORT_KEY: {"S": keys.META_SORT_KEY}}


def attempt_key(run_id: RunId, number: AttemptNumber) -> "Item":
    """Key of an attempt's item."""
    return {PARTITION_KEY: {"S": keys.run_partition(run_id)}, SORT_KEY: {"S": keys.attempt_sort_key(number)}}


def machine_key(instance_id: InstanceId) -> "Item":
    """Key of the item that says which run has a kept machine."""
    return {PARTITION_KEY: {"S": keys.machine_partition(instance_id)}, SORT_KEY: {"S": keys.META_SORT_KEY}}


def machine_claim_item(instance_id: InstanceId, run_id: RunId) -> "Item":
    """Write which run has a kept machine."""
    return machine_key(instance_id) | {"run_id": encode(run_id)}


def event_key(event: TimelineEvent) -> "Item":
    """Key of a timeline event's item: the same event has the same key."""
    sort_key = keys.event_sort_key(iso(event.at), event.event_id)
    return {PARTITION_KEY: {"S": keys.run_partition(event.run_id)}, SORT_KEY: {"S": sort_key}}


def sweep_key() -> "Item":
    """Key of the one item that holds the reaper's last look."""
    return {PARTITION_KEY: {"S": "SWEEP"}, SORT_KEY: {"S": "LAST"}}


def sweep_item(sweep: Sweep) -> "Item":
    """Write a sweep as its item."""
    return sweep_key() | _fields(sweep)


def sweep_of(item: "Item") -> Sweep:
    """Read a sweep from its item."""
    return Sweep.model_validate(_values(item))


def told_key(run_id: RunId, what: str) -> "Item":
    """Key of the note that people were told something."""
    return {PARTITION_KEY: {"S": keys.run_partition(run_id)}, SORT_KEY: {"S": keys.told_sort_key(what)}}


def run_item(run: Run) -> "Item":
    """Write a run as its item; `open` is there only while the run has not ended."""
    item = run_key(run.run_id) | _fields(run)
    if not run.status.is_terminal:
        item[OPEN] = {"S": OPEN_VALUE}
    return item


def attempt_item(attempt: Attempt) -> "Item":
    """Write an attempt as its item."""
    item = attempt_key(attempt.run_id, attempt.number) | _fields(attempt)
    if attempt.is_unsettled:
        item[OPEN] = {"S": UNSETTLED_VALUE}
    return item


def spending_item(spending: Spending) -> "Item":
    """Write a line of the ledger as its item."""
    ended = iso(spending.ended_at)
    sort_key = f"{ended}#{spending.run_id}#{spending.attempt:04d}"
    key: Item = {PARTITION_KEY: {"S": keys.spent_partition(ended[:10])}, SORT_KEY: {"S": sort_key}}
    return key | _fields(spending)


def late_spending_item(spending: Spending) -> "Item":
    """Write a line once more for the digest of the day on which it was settled."""
    key: Item = {PARTITION_KEY: {"S": keys.late_partition(spending.told_on.isoformat())}}
    return spending_item(spending) | key


def spending_of(item: "Item") -> Spending:
    """Read a line of the ledger from its item."""
    return Spending.model_validate(_values(item))


def event_item(event: TimelineEvent) -> "Item":
    """Write a timeline event as its item."""
    return event_key(event) | _fields(event)


def run_of(item: "Item") -> Run:
    """Read a run from its item."""
    return Run.model_validate(_values(item))


def attempt_of(item: "Item") -> Attempt:
    """Read an attempt from its item."""
    values = _values(item)
    for fact in values.get("facts", {}).values():
        fact["data"] = plain(fact["data"])
    if "launch" in values:
        values["launch"]["request"] = plain(values["launch"]["request"])
    return Attempt.model_validate(values)


def event_of(item: "Item") -> TimelineEvent:
    """Read a timeline event from its item."""
    values = _values(item)
    values["data"] = plain(values["data"])
    return TimelineEvent.model_validate(values)


def _fields(model: Model) -> "Item":
    return {name: encode(value) for name, value in model.model_dump().items() if value is not None}


def _values(item: "Item") -> dict[str, Any]:
    return {name: decode(attribute) for name, attribute in item.items() if name not in (PARTITION_KEY, SORT_KEY, OPEN)}
