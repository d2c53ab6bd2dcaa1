"""The dead-letter queue on moto: the three shapes of messages, and that nothing is deleted that was not accepted."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from runctl.aws.dead_letters import DeadLetters
from runctl.errors import RunctlError
from runctl.model.dead_letter import DeadLetter, LetterSource

OBSERVE_AGENT = "arn:aws:lambda:us-east-1:123456789012:function:runctl-observe_agent"
STOP_RUN = "arn:aws:lambda:us-east-1:123456789012:function:runctl-stop_run"
RULE = "arn:aws:events:us-east-1:123456789012:rule/runctl-machines/runctl-RulesAgentReported-ABC"
SCHEDULE = "arn:aws:scheduler:us-east-1:123456789012:schedule/runctl-runs/r-1hx3k7pabcde"
EVENT = {"source": "runctl.agent", "detail-type": "Training Ended", "detail": {"run_id": "r-1hx3k7pabcde"}}
STOP = {"run_id": "r-1hx3k7pabcde", "action": "terminate"}


class TakingFunctions:
    """Lambda, as far as events are handed to it."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Any]] = []
        self.before: Callable[[], None] = lambda: None

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> dict[str, Any]:
        """Accept an event. Nobody waits for its end."""
        assert InvocationType == "Event"
        self.before()
        self.taken.append((FunctionName, json.loads(Payload)))
        return {"StatusCode": 202}


class Desk:
    """A queue, functions, and what reads the one for the other."""

    def __init__(self) -> None:
        self.sqs = boto3.client("sqs", region_name="us-east-1")
        self.url = self.sqs.create_queue(QueueName="runctl-DeadLettersQueue-ABC")["QueueUrl"]
        self.functions = TakingFunctions()
        self.letters = DeadLetters(self.sqs, self.functions, self.url)  # pyright: ignore[reportArgumentType]

    def put(self, body: Any, **attributes: str) -> str:
        """Lay a message into the queue."""
        sent = self.sqs.send_message(
            QueueUrl=self.url,
            MessageBody=body if isinstance(body, str) else json.dumps(body),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )
        return sent["MessageId"]

    def send(self, *wanted: str) -> list[tuple[DeadLetter, RunctlError | None]]:
        """Send these again."""
        return list(self.letters.send_again(wanted))

    @property
    def lying(self) -> list[str]:
        """The messages that anybody could receive now."""
        return [letter.message_id for letter in self.letters.letters()]


@pytest.fixture
def desk(aws: None, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """An empty queue that is not waited for."""
    monkeypatch.setattr("runctl.aws.dead_letters._LISTEN_S", 0)
    return Desk()


def a_record(payload: Any = EVENT, **response: Any) -> dict[str, Any]:
    """Lambda's invocation record, as its Developer Guide shows it."""
    return {
        "version": "1.0",
        "timestamp": "2026-01-31T09:30:00.000Z",
        "requestContext": {
            "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
            "functionArn": f"{OBSERVE_AGENT}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": payload,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorMessage": "Task timed out", "errorType": "Sandbox.Timedout"} | response,
    }


def test_what_a_function_failed_on_is_its_event_again(desk: Desk) -> None:
    desk.put(a_record())

    (letter,) = desk.letters.letters()

    assert (letter.source, letter.target, letter.origin) == (LetterSource.FUNCTION, OBSERVE_AGENT, "")
    assert json.loads(letter.payload) == EVENT
    assert letter.why == "Sandbox.Timedout: Task timed out"
    assert letter.about == "Training Ended r-1hx3k7pabcde"
    assert letter.put_away_at.year > 2000


def test_an_event_that_became_too_old_says_so(desk: Desk) -> None:
    record = a_record()
    record["requestContext"]["condition"] = "EventAgeExceeded"
    del record["responsePayload"]
    desk.put(record)

    (letter,) = desk.letters.letters()

    assert letter.why == "EventAgeExceeded"


def test_what_a_rule_could_not_deliver_names_rule_and_code(desk: Desk) -> None:
    desk.put(
        EVENT, RULE_ARN=RULE, TARGET_ARN=OBSERVE_AGENT, ERROR_CODE="NO_PERMISSIONS", ERROR_MESSAGE="Lambda said no"
    )

    (letter,) = desk.letters.letters()

    assert (letter.source, letter.origin, letter.target) == (LetterSource.RULE, RULE, OBSERVE_AGENT)
    assert letter.why == "NO_PERMISSIONS: Lambda said no"
    assert json.loads(letter.payload) == EVENT


def test_what_a_schedule_could_not_deliver_names_the_schedule(desk: Desk) -> None:
    desk.put(STOP, SCHEDULE_ARN=SCHEDULE, TARGET_ARN=STOP_RUN, ERROR_CODE="Lambda.ResourceNotFoundException")

    (letter,) = desk.letters.letters()

    assert (letter.source, letter.origin, letter.target) == (LetterSource.SCHEDULE, SCHEDULE, STOP_RUN)
    assert letter.about == "terminate r-1hx3k7pabcde"
    assert letter.is_whole


def test_a_payload_that_was_cut_off_is_known_as_such(desk: Desk) -> None:
    desk.put(STOP, SCHEDULE_ARN=SCHEDULE, TARGET_ARN=STOP_RUN, IS_PAYLOAD_TRUNCATED="true")

    (letter,) = desk.letters.letters()

    assert not letter.is_whole


@pytest.mark.parametrize("body", ["no json", "[]", '{"a": 1}', '{"requestContext": {}, "requestPayload": 1}'])
def test_a_message_of_another_shape_is_told_and_not_guessed_at(desk: Desk, body: str) -> None:
    desk.put(body)

    (letter,) = desk.letters.letters()

    assert (letter.source, letter.target, letter.payload) == (LetterSource.UNKNOWN, "", "")


def test_looking_leaves_all_as_it_was_page_after_page(desk: Desk) -> None:
    put = [desk.put(a_record({"number": number})) for number in range(23)]

    assert set(desk.lying) == set(put)
    assert set(desk.lying) == set(put)
    assert desk.functions.taken == []


def test_each_goes_to_the_function_it_was_for_and_then_out_of_the_queue(desk: Desk) -> None:
    failed = desk.put(a_record())
    scheduled = desk.put(STOP, SCHEDULE_ARN=SCHEDULE, TARGET_ARN=STOP_RUN)

    answers = desk.send(failed, scheduled)

    assert [fault for _, fault in answers] == [None, None]
    assert sorted(desk.functions.taken, key=str) == sorted([(OBSERVE_AGENT, EVENT), (STOP_RUN, STOP)], key=str)
    assert desk.lying == []


def test_what_came_meanwhile_or_was_not_meant_stays_and_is_seen_by_others_at_once(desk: Desk) -> None:
    meant, other = desk.put(a_record()), desk.put("no json")

    desk.send(meant)

    assert desk.lying == [other]
    assert len(desk.functions.taken) == 1


def test_one_that_lambda_refuses_stays_and_keeps_no_other_from_it(desk: Desk) -> None:
    first, second = desk.put(a_record({"number": 1})), desk.put(a_record({"number": 2}))
    refusals = iter([ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "no"}}, "Invoke")])

    def refuse_once() -> None:
        for refusal in refusals:
            raise refusal

    desk.functions.before = refuse_once

    answers = {letter.message_id: fault for letter, fault in desk.send(first, second)}

    (refused,) = [message for message, fault in answers.items() if fault is not None]
    assert desk.lying == [refused]
    assert len(desk.functions.taken) == 1


@pytest.mark.parametrize("moment", ["before it was accepted", "before it was deleted"])
def test_a_crash_loses_nothing(desk: Desk, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    message = desk.put(a_record())

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash, pytest.raises(KeyboardInterrupt):
        if moment == "before it was accepted":
            crash.setattr(desk.functions, "before", die)
        else:
            crash.setattr(desk.sqs, "delete_message", die)
        desk.send(message)

    assert desk.lying == [message]
    assert [fault for _, fault in desk.send(message)] == [None]
    assert set(map(str, desk.functions.taken)) == {str((OBSERVE_AGENT, EVENT))}
    assert desk.lying == []


def test_nothing_is_asked_of_the_queue_when_nothing_is_wanted(desk: Desk) -> None:
    message = desk.put(a_record())

    assert desk.send() == []
    assert desk.lying == [message]
