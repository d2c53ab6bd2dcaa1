"""How a task ends: by its answer, under its error's name, or by a clock.

What AWS does: Step Functions Developer Guide, "Task workflow state", "Handling errors in Step Functions workflows" and
"Wait for a Callback with Task Token".
"""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.emulator.services import Services

pytestmark = pytest.mark.local_cloud


def test_exception_of_a_function_ends_the_task_under_its_class_name(services: Services) -> None:
    execution = services.run({"Task": services.task("fail")})

    assert (execution["status"], execution["error"]) == ("FAILED", "CapacityUnavailable")
    cause = json.loads(execution["cause"])
    assert cause["errorType"] == "CapacityUnavailable"
    assert cause["errorMessage"] == "m5.large is nowhere to be had"


def test_exception_is_caught_by_its_class_name(services: Services) -> None:
    catch = [{"ErrorEquals": ["CapacityUnavailable"], "ResultPath": "$.error", "Next": "Caught"}]

    execution = services.run(
        {"Task": services.task("fail", Catch=catch), "Caught": {"Type": "Succeed"}}, given={"kept": 1}
    )

    assert execution["status"] == "SUCCEEDED"
    output = json.loads(execution["output"])
    assert output["kept"] == 1
    assert output["error"]["Error"] == "CapacityUnavailable"


def test_exception_ends_a_task_that_would_wait_for_its_token(services: Services) -> None:
    execution = services.run({"Task": services.callback_task("fail")})

    assert (execution["status"], execution["error"]) == ("FAILED", "CapacityUnavailable")


def test_retry_by_class_name_tries_again_and_then_succeeds(services: Services) -> None:
    retry = [{"ErrorEquals": ["CapacityUnavailable"], "IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 1}]
    result = {"calls.$": "$.Payload"}

    execution = services.run(
        {"Task": services.task("fail_until", Retry=retry, ResultSelector=result)}, given={"key": "retry", "failures": 2}
    )

    assert json.loads(execution["output"]) == {"calls": 3}
    scheduled = [event for event in services.history(execution["executionArn"]) if event["type"] == "TaskScheduled"]
    assert len(scheduled) == 3


def test_answered_token_gives_the_tasks_output(services: Services) -> None:
    arn = services.start(services.machine({"Task": services.callback_task("hold")}))

    services.states.send_task_success(taskToken=services.token(arn), output='{"loss": 0.5}')
    execution = services.ended(arn)

    assert (execution["status"], json.loads(execution["output"])) == ("SUCCEEDED", {"loss": 0.5})


def test_failed_token_fails_the_task_under_the_given_name(services: Services) -> None:
    arn = services.start(services.machine({"Task": services.callback_task("hold")}))

    services.states.send_task_failure(taskToken=services.token(arn), error="SpotInterruption", cause="taken back")
    execution = services.ended(arn)

    assert (execution["status"], execution["error"], execution["cause"]) == ("FAILED", "SpotInterruption", "taken back")


def test_token_may_be_answered_before_the_function_returns(services: Services) -> None:
    execution = services.run({"Task": services.callback_task("answer_at_once")})

    assert (execution["status"], json.loads(execution["output"])) == ("SUCCEEDED", "at once")


def test_missed_heartbeat_ends_the_task_as_heartbeat_timeout(services: Services) -> None:
    started = time.monotonic()

    execution = services.run({"Task": services.callback_task("hold", HeartbeatSeconds=1, TimeoutSeconds=60)})

    assert (execution["status"], execution["error"]) == ("FAILED", "States.HeartbeatTimeout")
    assert time.monotonic() - started < 5


def test_heartbeats_keep_the_task_and_leave_no_event(services: Services) -> None:
    arn = services.start(services.machine({"Task": services.callback_task("hold", HeartbeatSeconds=1)}))
    token = services.token(arn)
    events_before = len(services.history(arn))

    for _ in range(4):
        time.sleep(0.5)
        services.states.send_task_heartbeat(taskToken=token)

    assert services.states.describe_execution(executionArn=arn)["status"] == "RUNNING"
    assert len(services.history(arn)) == events_before
    services.states.stop_execution(executionArn=arn)


def test_task_timeout_is_absolute_regardless_of_heartbeats(services: Services) -> None:
    state = services.callback_task("hold", HeartbeatSeconds=1, TimeoutSeconds=2)
    arn = services.start(services.machine({"Task": state}))
    token = services.token(arn)

    with pytest.raises(ClientError, match="TaskTimedOut"):
        for _ in range(8):
            services.states.send_task_heartbeat(taskToken=token)
            time.sleep(0.4)

    assert services.ended(arn)["error"] == "States.Timeout"


@pytest.mark.parametrize(
    ("fields", "given", "error"),
    [
        ({"TimeoutSecondsPath": "$.limit"}, {"limit": 1}, "States.Timeout"),
        (
            {"HeartbeatSecondsPath": "$.beat", "TimeoutSecondsPath": "$.limit"},
            {"beat": 1, "limit": 60},
            "States.HeartbeatTimeout",
        ),
    ],
)
def test_limits_are_read_from_the_input(
    services: Services, fields: dict[str, Any], given: dict[str, Any], error: str
) -> None:
    execution = services.run({"Task": services.callback_task("hold", **fields)}, given=given)

    assert execution["error"] == error


def test_limit_that_is_no_whole_number_of_seconds_is_a_runtime_error(services: Services) -> None:
    state = services.callback_task("hold", TimeoutSecondsPath="$.limit")

    execution = services.run({"Task": state}, given={"limit": "soon"})

    assert (execution["status"], execution["error"]) == ("FAILED", "States.Runtime")


@pytest.mark.parametrize(
    ("catches", "caught_by"),
    [
        (["States.HeartbeatTimeout", "States.Timeout"], "States.HeartbeatTimeout"),
        (["States.Timeout", "States.HeartbeatTimeout"], "States.Timeout"),
        (["States.ALL"], "States.ALL"),
    ],
)
def test_first_matching_catcher_takes_a_missed_heartbeat(
    services: Services, catches: list[str], caught_by: str
) -> None:
    catch = [{"ErrorEquals": [name], "Next": f"By {name}"} for name in catches]
    states = {f"By {name}": {"Type": "Pass", "Result": name, "End": True} for name in catches}
    task = services.callback_task("hold", HeartbeatSeconds=1, Catch=catch)

    execution = services.run({"Task": task, **states})

    assert json.loads(execution["output"]) == caught_by


def test_runtime_error_is_not_caught_by_states_all(services: Services) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    task = services.callback_task("hold", TimeoutSecondsPath="$.limit", Catch=catch)

    execution = services.run({"Task": task, "Caught": {"Type": "Succeed"}}, given={"limit": -1})

    assert (execution["status"], execution["error"]) == ("FAILED", "States.Runtime")


def test_token_of_a_retried_task_is_another_one(services: Services) -> None:
    retry = [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    arn = services.start(services.machine({"Task": services.callback_task("hold", Retry=retry)}))
    first = services.token(arn)
    services.states.send_task_failure(taskToken=first, error="Again")
    time.sleep(1.2)
    second = services.token(arn)

    with pytest.raises(ClientError, match="TaskTimedOut"):
        services.states.send_task_success(taskToken=first, output="1")
    services.states.send_task_success(taskToken=second, output="2")

    assert first != second
    assert json.loads(services.ended(arn)["output"]) == 2


def test_what_is_no_token_is_an_invalid_token(services: Services) -> None:
    with pytest.raises(ClientError, match="InvalidToken"):
        services.states.send_task_success(taskToken="not a token", output="{}")


def test_output_of_a_token_must_be_json(services: Services) -> None:
    arn = services.start(services.machine({"Task": services.callback_task("hold")}))
    token = services.token(arn)

    with pytest.raises(ClientError, match="InvalidOutput"):
        services.states.send_task_success(taskToken=token, output="{")

    services.states.stop_execution(executionArn=arn)


def test_burst_over_the_accounts_concurrency_is_retried_until_each_execution_has_its_turn(services: Services) -> None:
    throttled = {
        "ErrorEquals": ["Lambda.TooManyRequestsException"],
        "IntervalSeconds": 1,
        "MaxAttempts": 40,
        "BackoffRate": 1,
        "JitterStrategy": "FULL",
    }
    machine = services.machine({"Task": services.task("hold_a_while", Retry=[throttled])})

    started = [services.start(machine) for _ in range(30)]

    assert {services.ended(arn, timeout_s=30)["status"] for arn in started} == {"SUCCEEDED"}
    assert any(event["type"] == "TaskFailed" for arn in started for event in services.history(arn))
