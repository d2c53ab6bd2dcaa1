"""Conditional writes, all or nothing, and what came of them.

Every write that has a condition goes through TransactWriteItems, a single one too: botocore gives each call a client
request token, so that a repeated send of a write whose answer was lost is not mistaken for somebody else's (DynamoDB
API Reference, TransactWriteItems, "Idempotency"). Figures and checkpoints are the exception.
"""

import random
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of
from runctl.errors import AwsError, Throttled

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef, UpdateTypeDef

CONFLICT_TRIES: Final = 7
CONFLICT_WAIT_S: Final = 0.02
"""Doubled at each try, and jittered: 1.3 s in all, far less than a function's timeout. A conflict lasts for the
milliseconds of the other transaction."""
CONFLICT_WAIT_MAX_S: Final = 0.5

BOOKING_TRIES: Final = 12
"""For money: all admissions of an account change one item, so that many at once wait for each other. 3.5 s in all."""

_CONDITION: Final = "ConditionalCheckFailed"
_CONFLICT: Final = "TransactionConflict"
_THROTTLES: Final = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"})


class Outcome(StrEnum):
    """What came of a write."""

    WRITTEN = "written"
    REFUSED = "refused"
    """A condition did not hold."""
    CONFLICT = "conflict"
    """Another transaction holds one of the items at this moment."""


def write(client: "DynamoDBClient", actions: "Sequence[TransactWriteItemTypeDef]") -> Outcome:
    """Write all of the actions or none. Raises Throttled, PermissionDenied and AwsError, never for a lost race."""
    with aws_errors():
        try:
            client.transact_write_items(TransactItems=actions)
        except ClientError as error:
            if code_of(error) != "TransactionCanceledException":
                raise
            return _outcome(error)
    return Outcome.WRITTEN


def write_unless_refused(
    client: "DynamoDBClient",
    actions: "Sequence[TransactWriteItemTypeDef]",
    *,
    sleep: Callable[[float], None] = time.sleep,
    tries: int = CONFLICT_TRIES,
) -> bool:
    """Write like `write`, and go on trying through conflicts; says whether the conditions held.

    For writes that are right whatever somebody else writes at the same time, facts above all: such a one is never
    dropped. Raises Throttled when the conflict does not end.
    """
    for tried in range(tries):
        outcome = write(client, actions)
        if outcome is not Outcome.CONFLICT:
            return outcome is Outcome.WRITTEN
        sleep(min(CONFLICT_WAIT_S * 2**tried, CONFLICT_WAIT_MAX_S) * random.uniform(0.5, 1.5))
    raise Throttled("TransactWriteItems: other transactions kept the item busy", aws_code=_CONFLICT)


def update_unless_refused(
    client: "DynamoDBClient",
    update: "UpdateTypeDef",
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Make one conditional update by itself, and go on trying through conflicts; says whether its condition held.

    Half as dear as in a transaction (Amazon DynamoDB pricing), for the writes that a run makes all day. A repeated send
    whose first answer was lost finds its own write and is refused: whoever calls must look whether it is there.
    """
    for tried in range(CONFLICT_TRIES):
        with aws_errors():
            try:
                client.update_item(**update)
            except ClientError as error:
                code = code_of(error)
                if code == "ConditionalCheckFailedException":
                    return False
                if code != "TransactionConflictException":
                    raise
            else:
                return True
        sleep(min(CONFLICT_WAIT_S * 2**tried, CONFLICT_WAIT_MAX_S) * random.uniform(0.5, 1.5))
    raise Throttled("UpdateItem: other transactions kept the item busy", aws_code=_CONFLICT)


def _outcome(error: ClientError) -> Outcome:
    reasons = error.response.get("CancellationReasons", [])
    codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
    if _CONDITION in codes:
        return Outcome.REFUSED
    if _CONFLICT in codes:
        return Outcome.CONFLICT
    text = "; ".join(f"{reason.get('Code')}: {reason.get('Message', '')}" for reason in reasons if reason.get("Code"))
    our_class = Throttled if codes & _THROTTLES else AwsError
    raise our_class(
        f"TransactWriteItems: cancelled ({text or 'no reasons given'})",
        aws_code=", ".join(sorted(codes)) or "TransactionCanceledException",
        operation="TransactWriteItems",
    ) from error
