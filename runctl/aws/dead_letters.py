"""The dead-letter queue: read what lies there, send it again to the function it was for, and only then delete it.

A message's shape tells who put it away. Lambda writes an invocation record (Lambda Developer Guide, "Capturing records
of Lambda asynchronous invocations"), EventBridge the event with `RULE_ARN`, `TARGET_ARN` and `ERROR_CODE` as attributes
(EventBridge User Guide, "Using dead-letter queues to process undelivered events"), Scheduler the target's input with
`SCHEDULE_ARN` in their place (EventBridge Scheduler User Guide, "Configuring a schedule's dead-letter queue").
"""

import json
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import JsonValue, ValidationError

from runctl.aws.errors import aws_errors
from runctl.aws.functions import hand_over
from runctl.errors import RunctlError
from runctl.model.base import WireModel
from runctl.model.dead_letter import DeadLetter, LetterSource

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

_PAGE: Final = 10
"""The most messages that one call receives (SQS API Reference, ReceiveMessage)."""

_LISTEN_S: Final = 1
"""A call that waits asks all servers of the queue; one that does not may answer nothing though there is something (SQS
Developer Guide, "Amazon SQS short and long polling")."""

_HELD_S: Final = 120
"""How long a message that was received is hidden from others: longer than a page takes to be sent and deleted."""


_BARREN_PAGES: Final = 3
"""So many pages in a row of nothing but messages that were received before: a standard queue may deliver one twice, and
one that was held too long shows itself again."""


class DeadLetters:
    """The queue of a deployment, and the functions of its messages."""

    def __init__(self, queue: "SQSClient", functions: "LambdaClient", queue_url: str) -> None:
        self._queue = queue
        self._functions = functions
        self._queue_url = queue_url

    def letters(self) -> tuple[DeadLetter, ...]:
        """Read all that lies there, the oldest first, and leave it there, visible again at once."""
        received = [message for page in self._pages() for message in page]
        self._release(received)
        return tuple(sorted(map(_letter, received), key=lambda letter: (letter.put_away_at, letter.message_id)))

    def send_again(self, wanted: Collection[str]) -> Iterator[tuple[DeadLetter, RunctlError | None]]:
        """Hand each of these messages, by id, to the function that it was for; answer each, with what went wrong.

        A message is deleted when Lambda has accepted its event. Whoever is broken off in between leaves it in the
        queue: it is sent once more then, which every function bears as it bears an event that AWS delivers twice.
        Those that are not wanted, came meanwhile, or are in other hands, stay.
        """
        left = set(wanted)
        held: list[MessageTypeDef] = []
        try:
            for page in self._pages() if left else ():
                held += page
                for message in page:
                    letter = _letter(message)
                    if letter.message_id not in left:
                        continue
                    left.discard(letter.message_id)
                    fault = self._send(letter, message.get("ReceiptHandle", ""))
                    if fault is None:
                        held.remove(message)
                    yield letter, fault
                if not left:
                    return
        finally:
            self._release(held)

    def _send(self, letter: DeadLetter, receipt: str) -> RunctlError | None:
        try:
            hand_over(self._functions, letter.target, letter.payload.encode())
            with aws_errors():
                self._queue.delete_message(QueueUrl=self._queue_url, ReceiptHandle=receipt)
        except RunctlError as fault:
            return fault
        return None

    def _pages(self) -> "Iterator[list[MessageTypeDef]]":
        """Receive until nothing new comes."""
        seen: set[str] = set()
        barren = 0
        while barren < _BARREN_PAGES:
            with aws_errors():
                answer = self._queue.receive_message(
                    QueueUrl=self._queue_url,
                    MaxNumberOfMessages=_PAGE,
                    WaitTimeSeconds=_LISTEN_S,
                    VisibilityTimeout=_HELD_S,
                    MessageAttributeNames=["All"],
                    MessageSystemAttributeNames=["SentTimestamp"],
                )
            messages = answer.get("Messages", [])
            if not messages:
                return
            page = [message for message in messages if message.get("MessageId") not in seen]
            barren = 0 if page else barren + 1
            seen |= {message.get("MessageId", "") for message in page}
            yield page

    def _release(self, messages: "list[MessageTypeDef]") -> None:
        """Show messages to others again. One that cannot be shows itself when its time is over."""
        for start in range(0, len(messages), _PAGE):
            with aws_errors():
                self._queue.change_message_visibility_batch(
                    QueueUrl=self._queue_url,
                    Entries=[
                        {"Id": str(index), "ReceiptHandle": message.get("ReceiptHandle", ""), "VisibilityTimeout": 0}
                        for index, message in enumerate(messages[start : start + _PAGE])
                    ],
                )


class _Request(WireModel):
    functionArn: str
    condition: str = ""
    approximateInvokeCount: int = 0


class _Raised(WireModel):
    errorType: str = ""
    errorMessage: str = ""


class _Record(WireModel):
    """Lambda's invocation record, as far as we use it."""

    requestContext: _Request
    requestPayload: JsonValue
    responsePayload: JsonValue = None


def _letter(message: "MessageTypeDef") -> DeadLetter:
    attributes = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
    body = message.get("Body", "")
    common: dict[str, Any] = {"message_id": message.get("MessageId", ""), "put_away_at": _sent_at(message)}
    if "TARGET_ARN" in attributes:
        is_rule = "RULE_ARN" in attributes
        code, words = attributes.get("ERROR_CODE", ""), attributes.get("ERROR_MESSAGE", "")
        return DeadLetter(
            **common,
            source=LetterSource.RULE if is_rule else LetterSource.SCHEDULE,
            origin=attributes.get("RULE_ARN") or attributes.get("SCHEDULE_ARN", ""),
            target=attributes["TARGET_ARN"],
            why=": ".join(filter(None, (code, words))) or "It could not be delivered.",
            about=_about(body),
            payload=body,
            is_whole=attributes.get("IS_PAYLOAD_TRUNCATED", "false").lower() != "true",
        )
    try:
        record = _Record.model_validate_json(body)
    except ValidationError:
        return DeadLetter(**common, source=LetterSource.UNKNOWN, why="It is none of the messages that are known here.")
    payload = json.dumps(record.requestPayload)
    return DeadLetter(
        **common,
        source=LetterSource.FUNCTION,
        target=_unqualified(record.requestContext.functionArn),
        why=_failure(record),
        about=_about(payload),
        payload=payload,
    )


def _failure(record: _Record) -> str:
    try:
        raised = _Raised.model_validate(record.responsePayload)
    except ValidationError:
        raised = _Raised()
    said = ": ".join(filter(None, (raised.errorType, raised.errorMessage)))
    return said or record.requestContext.condition or "The function failed."


def _unqualified(arn: str) -> str:
    """Leave a version out: `arn:aws:lambda:REGION:ACCOUNT:function:NAME:$LATEST`."""
    return ":".join(arn.split(":")[:7])


def _about(payload: str) -> str:
    """Say in a few words what an event is: `Training Ended 20260131-093000-ab12cd`."""
    try:
        event = json.loads(payload)
        detail_type = event.get("detail-type", "")
        detail = event.get("detail") or event
        named = next((detail[key] for key in ("run_id", "name", "instance-id", "command-id") if detail.get(key)), "")
    except (ValueError, AttributeError, TypeError):
        return ""
    return " ".join(str(word) for word in (detail_type or event.get("action", ""), named) if word)


def _sent_at(message: "MessageTypeDef") -> datetime:
    milliseconds = int(message.get("Attributes", {}).get("SentTimestamp", "0"))
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
