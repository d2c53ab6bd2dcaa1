"""Step Functions: executions that are named by run id, task tokens, and what a history amounts to."""

import json
from typing import Any

import boto3
import pytest

from runctl.aws.executions import Executions, HistoryCounts, StepFunctionsTokens
from runctl.errors import AwsError, PermissionDenied, Throttled
from runctl.model.decision import ExecutionInput
from runctl.model.ids import TaskToken
from runctl.model.service_events import ExecutionStatus
from tests.contract.examples import OTHER_RUN_ID, RUN_ID
from tests.contract.stubs import stubbed

MACHINE_ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:runctl"
EXECUTION_ARN = f"arn:aws:states:us-east-1:123456789012:execution:runctl:{RUN_ID}"
TOKEN = TaskToken("AQDEAAAAKgAAAAM")
INPUT = ExecutionInput(run_id=RUN_ID, ready_timeout_s=900, heartbeat_timeout_s=900, train_timeout_s=86_700)


def of_our_machine(client: Any) -> Executions:
    """Make the gateway for the state machine of these tests."""
    return Executions(client, MACHINE_ARN)


@pytest.fixture
def executions(aws: None) -> Executions:
    """The gateway on moto, with a state machine that waits."""
    client = boto3.client("stepfunctions", region_name="us-east-1")
    definition = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3_600, "End": True}}}
    answer = client.create_state_machine(
        name="runctl", definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/runctl"
    )
    return Executions(client, answer["stateMachineArn"])


def test_an_execution_is_named_by_its_run(executions: Executions) -> None:
    arn = executions.start(RUN_ID, INPUT)

    described = boto3.client("stepfunctions", region_name="us-east-1").describe_execution(executionArn=arn)
    assert arn == executions.arn(RUN_ID)
    assert described["name"] == RUN_ID
    assert ExecutionInput.model_validate_json(described["input"]) == INPUT
    assert executions.status(RUN_ID) is ExecutionStatus.RUNNING


def test_the_input_leaves_out_a_machine_that_was_not_given(executions: Executions) -> None:
    arn = executions.start(RUN_ID, INPUT)

    described = boto3.client("stepfunctions", region_name="us-east-1").describe_execution(executionArn=arn)
    assert "instance_id" not in json.loads(described["input"])


def test_a_run_without_an_execution_has_no_status(executions: Executions) -> None:
    assert executions.status(OTHER_RUN_ID) is None


def test_an_execution_that_exists_already_is_the_answer() -> None:
    with stubbed("stepfunctions", of_our_machine) as (executions, stubber):
        stubber.add_client_error("start_execution", service_error_code="ExecutionAlreadyExists")

        arn = executions.start(RUN_ID, INPUT)

    assert arn == EXECUTION_ARN


def test_a_refused_start_is_loud() -> None:
    with stubbed("stepfunctions", of_our_machine) as (executions, stubber), pytest.raises(PermissionDenied):
        stubber.add_client_error("start_execution", service_error_code="AccessDeniedException")
        executions.start(RUN_ID, INPUT)


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_an_answer_that_is_not_wanted_any_more_is_fine(code: str) -> None:
    with stubbed("stepfunctions", StepFunctionsTokens) as (tokens, stubber):
        stubber.add_client_error("send_task_success", service_error_code=code)
        stubber.add_client_error("send_task_failure", service_error_code=code)

        answers = (tokens.succeed(TOKEN, {}), tokens.fail(TOKEN, "UserError", "It exited with 3."))

    assert answers == (False, False)


def test_a_token_is_answered_with_the_class_name_and_the_sentence() -> None:
    with stubbed("stepfunctions", StepFunctionsTokens) as (tokens, stubber):
        stubber.add_response(
            "send_task_failure",
            {},
            expected_params={"taskToken": TOKEN, "error": "UserError", "cause": "It exited with 3."},
        )
        stubber.add_response(
            "send_task_success", {}, expected_params={"taskToken": TOKEN, "output": '{"exit_code": 0}'}
        )

        answers = (tokens.fail(TOKEN, "UserError", "It exited with 3."), tokens.succeed(TOKEN, {"exit_code": 0}))

    assert answers == (True, True)


def test_a_cause_is_cut_to_what_step_functions_takes() -> None:
    with stubbed("stepfunctions", StepFunctionsTokens) as (tokens, stubber):
        stubber.add_response(
            "send_task_failure",
            {},
            expected_params={"taskToken": TOKEN, "error": "UserError", "cause": "x" * 32_768},
        )

        assert tokens.fail(TOKEN, "UserError", "x" * 50_000)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("AccessDeniedException", PermissionDenied), ("ThrottlingException", Throttled), ("InvalidOutput", AwsError)],
)
def test_a_refused_answer_is_loud(code: str, expected: type[Exception]) -> None:
    with stubbed("stepfunctions", StepFunctionsTokens) as (tokens, stubber), pytest.raises(expected):
        stubber.add_client_error("send_task_success", service_error_code=code)
        tokens.succeed(TOKEN, {})


def history(*types: str, first: int = 1, token: str | None = None) -> dict[str, Any]:
    """Make a page of history with events of these types."""
    events = [
        {"id": number, "type": kind, "timestamp": "2026-03-01T09:30:00Z"} for number, kind in enumerate(types, first)
    ]
    return {"events": events} | ({"nextToken": token} if token else {})


def test_transitions_are_states_entered_and_retries_over_all_pages() -> None:
    with stubbed("stepfunctions", of_our_machine) as (executions, stubber):
        stubber.add_response(
            "get_execution_history",
            history(
                "ExecutionStarted",
                "TaskStateEntered",
                "TaskScheduled",
                "TaskStarted",
                "TaskFailed",
                "TaskScheduled",
                token="more",
            ),
        )
        stubber.add_response(
            "get_execution_history",
            history(
                "TaskStarted",
                "TaskFailed",
                "TaskScheduled",
                "TaskStarted",
                "TaskSucceeded",
                "TaskStateExited",
                "ChoiceStateEntered",
                "ChoiceStateExited",
                "TaskStateEntered",
                "TaskScheduled",
                "TaskSucceeded",
                "TaskStateExited",
                "SucceedStateEntered",
                "ExecutionSucceeded",
                first=7,
            ),
        )

        counts = executions.history_counts(RUN_ID)

    assert counts == HistoryCounts(states_entered=4, retries=2, events=20)
    assert counts.transitions == 6


def test_a_history_that_is_no_longer_kept_is_none() -> None:
    with stubbed("stepfunctions", of_our_machine) as (executions, stubber):
        stubber.add_client_error("get_execution_history", service_error_code="ExecutionDoesNotExist")

        assert executions.history_counts(RUN_ID) is None
