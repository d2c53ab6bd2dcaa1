"""How an execution starts and ends.

What AWS does: Step Functions API Reference, StartExecution and StopExecution; Developer Guide, "State machine structure
in Amazon States Language" and "Automating Step Functions event delivery with EventBridge".
"""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.emulator.services import Services, wait_until

pytestmark = pytest.mark.local_cloud

WAIT: dict[str, Any] = {"Task": {"Type": "Wait", "Seconds": 600, "End": True}}


def _status_events(services: Services, execution_arn: str) -> list[dict[str, Any]]:
    """Wait for the execution's event; drop those of others."""

    def look() -> list[dict[str, Any]] | None:
        bodies = [message["Body"] for message in services.messages("statuses", 0)]
        return [body for body in bodies if body["detail"]["executionArn"] == execution_arn] or None

    return wait_until(look, f"a status event of {execution_arn}")


def test_same_name_and_input_is_the_same_execution_while_it_runs(services: Services) -> None:
    machine_arn = services.machine(WAIT)

    first = services.start(machine_arn, {"a": 1}, name="run-1")
    second = services.start(machine_arn, {"a": 1}, name="run-1")

    assert first == second
    services.states.stop_execution(executionArn=first)


def test_same_name_with_another_input_is_refused(services: Services) -> None:
    machine_arn = services.machine(WAIT)
    arn = services.start(machine_arn, {"a": 1}, name="run-1")

    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        services.start(machine_arn, {"a": 2}, name="run-1")

    services.states.stop_execution(executionArn=arn)


def test_name_of_an_ended_execution_is_refused(services: Services) -> None:
    machine_arn = services.machine({"Task": {"Type": "Succeed"}})
    services.ended(services.start(machine_arn, {"a": 1}, name="run-1"))

    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        services.start(machine_arn, {"a": 1}, name="run-1")


def test_machines_own_timeout_ends_a_waiting_execution(services: Services) -> None:
    execution = services.run({"Task": services.callback_task("hold")}, TimeoutSeconds=1)

    assert execution["status"] == "TIMED_OUT"
    assert services.history(execution["executionArn"])[-1]["type"] == "ExecutionTimedOut"
    events = _status_events(services, execution["executionArn"])
    assert events[0]["detail"]["status"] == "TIMED_OUT"


def test_stop_ends_a_waiting_task_at_once_and_an_event_says_so(services: Services) -> None:
    arn = services.start(services.machine({"Task": services.callback_task("hold")}), {"run_id": "r"})
    services.token(arn)
    stopped_at = time.monotonic()

    services.states.stop_execution(executionArn=arn, error="Enough", cause="A person said so")
    execution = services.ended(arn)

    assert time.monotonic() - stopped_at < 2
    assert (execution["status"], execution["error"], execution["cause"]) == ("ABORTED", "Enough", "A person said so")
    (event,) = _status_events(services, arn)
    assert (event["source"], event["detail-type"]) == ("aws.states", "Step Functions Execution Status Change")
    assert event["resources"] == [arn]
    assert event["detail"]["status"] == "ABORTED"
    assert json.loads(event["detail"]["input"]) == {"run_id": "r"}


def test_stop_ends_a_wait_state_and_nothing_follows(services: Services) -> None:
    arn = services.start(services.machine(WAIT))

    services.states.stop_execution(executionArn=arn)
    time.sleep(0.2)

    types = [event["type"] for event in services.history(arn)]
    assert types == ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"]


def test_token_of_a_stopped_execution_is_refused(services: Services) -> None:
    arn = services.start(services.machine({"Task": services.callback_task("hold")}))
    token = services.token(arn)
    services.states.stop_execution(executionArn=arn)

    for answer in (
        lambda: services.states.send_task_success(taskToken=token, output="{}"),
        lambda: services.states.send_task_failure(taskToken=token, error="Late"),
        lambda: services.states.send_task_heartbeat(taskToken=token),
    ):
        with pytest.raises(ClientError, match="TaskTimedOut"):
            answer()

    assert services.states.describe_execution(executionArn=arn)["status"] == "ABORTED"


def test_answered_token_is_refused_the_second_time(services: Services) -> None:
    arn = services.start(services.machine({"Task": services.callback_task("hold")}))
    token = services.token(arn)
    services.states.send_task_success(taskToken=token, output='"first"')

    with pytest.raises(ClientError, match="TaskTimedOut"):
        services.states.send_task_failure(taskToken=token, error="Second")

    assert json.loads(services.ended(arn)["output"]) == "first"


def test_fail_state_shows_error_and_cause_from_paths(services: Services) -> None:
    fail = {"Type": "Fail", "ErrorPath": "$.conclusion.reason", "CausePath": "$.conclusion.cause"}

    execution = services.run({"Task": fail}, given={"conclusion": {"reason": "USER_ERROR", "cause": "exit code 3"}})

    assert (execution["status"], execution["error"], execution["cause"]) == ("FAILED", "USER_ERROR", "exit code 3")


def test_wait_state_reads_its_seconds_from_a_path(services: Services) -> None:
    started = time.monotonic()

    execution = services.run({"Task": {"Type": "Wait", "SecondsPath": "$.wait_s", "End": True}}, given={"wait_s": 1})

    assert execution["status"] == "SUCCEEDED"
    assert 1 <= time.monotonic() - started < 5


def test_history_numbers_its_events_and_points_back(services: Services) -> None:
    execution = services.run({"Task": services.task("echo")}, given={"x": 1})

    events = services.history(execution["executionArn"])

    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert [event["previousEventId"] for event in events] == [0, 0, *range(2, len(events))]
    assert [event["type"] for event in events] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]


def test_too_large_an_output_fails_the_execution(services: Services) -> None:
    pass_state = {"Type": "Pass", "Parameters": {"twice.$": "States.Format('{}{}', $.text, $.text)"}, "End": True}

    execution = services.run({"Task": pass_state}, given={"text": "x" * 200_000})

    assert (execution["status"], execution["error"]) == ("FAILED", "States.DataLimitExceeded")
