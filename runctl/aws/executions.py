"""Step Functions: executions, which are named by run id, and answers to the tokens of waiting states."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of
from runctl.model.base import Model
from runctl.model.decision import ExecutionInput
from runctl.model.ids import RunId, TaskToken
from runctl.model.service_events import ExecutionStatus

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

_TOKEN_IS_SPENT: Final = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
"""The waiting state has ended, by whatever way: its answer is not wanted any more."""

_MAX_ERROR: Final = 256
_MAX_CAUSE: Final = 32_768
"""Characters of SendTaskFailure's fields (Step Functions API Reference)."""


class StepFunctionsTokens:
    """`TaskTokens` of runctl/controller/ports.py. A token that is spent, timed out or unknown is fine: False."""

    def __init__(self, client: "SFNClient") -> None:
        self._client = client

    def succeed(self, token: TaskToken, output: Mapping[str, Any]) -> bool:
        """Answer a waiting state with a success; says whether it was still waiting."""
        with aws_errors():
            try:
                self._client.send_task_success(taskToken=token, output=json.dumps(output))
            except ClientError as error:
                return _is_wanted(error)
        return True

    def fail(self, token: TaskToken, error: str, cause: str) -> bool:
        """Answer a waiting state with an error's class name and our sentence; says whether it was still waiting."""
        with aws_errors():
            try:
                self._client.send_task_failure(taskToken=token, error=error[:_MAX_ERROR], cause=cause[:_MAX_CAUSE])
            except ClientError as refusal:
                return _is_wanted(refusal)
        return True


def _is_wanted(refusal: ClientError) -> bool:
    if code_of(refusal) in _TOKEN_IS_SPENT:
        return False
    raise refusal


class HistoryCounts(Model):
    """What an execution's history amounts to. AWS charges `transitions`."""

    states_entered: int
    retries: int
    events: int

    @property
    def transitions(self) -> int:
        """State transitions: states entered, and every retry (AWS Step Functions pricing)."""
        return self.states_entered + self.retries


class Executions:
    """Executions of the one state machine: `Executions` of the ports, and what the client does."""

    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def arn(self, run_id: RunId) -> str:
        """Name a run's execution."""
        return f"{self._state_machine_arn.replace(':stateMachine:', ':execution:')}:{run_id}"

    def start(self, run_id: RunId, execution_input: ExecutionInput) -> str:
        """Start the run's execution; one that exists already is the answer. Returns its ARN."""
        document = execution_input.model_dump_json(exclude_none=True)
        with aws_errors():
            try:
                answer = self._client.start_execution(
                    stateMachineArn=self._state_machine_arn, name=run_id, input=document
                )
            except ClientError as error:
                if code_of(error) != "ExecutionAlreadyExists":
                    raise
                return self.arn(run_id)
        return answer["executionArn"]

    def status(self, run_id: RunId) -> ExecutionStatus | None:
        """Tell how the run's execution stands; None when there is none."""
        with aws_errors():
            try:
                answer = self._client.describe_execution(executionArn=self.arn(run_id))
            except ClientError as error:
                if code_of(error) != "ExecutionDoesNotExist":
                    raise
                return None
        return ExecutionStatus(answer["status"])

    def history_counts(self, run_id: RunId) -> HistoryCounts | None:
        """Count what AWS charges of the run's execution; None when there is none, or when its 90 days are over."""
        entered = retries = events = 0
        tries_of_state = 0
        with aws_errors():
            try:
                pages = self._client.get_paginator("get_execution_history").paginate(
                    executionArn=self.arn(run_id), includeExecutionData=False
                )
                for page in pages:
                    for event in page["events"]:
                        events += 1
                        if event["type"].endswith("StateEntered"):
                            entered += 1
                            tries_of_state = 0
                        elif event["type"].endswith("Scheduled"):
                            # A retry schedules the task again without entering its state again.
                            retries += tries_of_state > 0
                            tries_of_state += 1
            except ClientError as error:
                if code_of(error) != "ExecutionDoesNotExist":
                    raise
                return None
        return HistoryCounts(states_entered=entered, retries=retries, events=events)
