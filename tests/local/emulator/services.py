"""Clients of a running local cloud, and short ways to ask what the tests ask again and again."""

import json
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar
from uuid import uuid4

import boto3
from botocore.config import Config

Answer = TypeVar("Answer")


class Services:
    """The emulated account."""

    def __init__(
        self,
        environment: Mapping[str, str],
        functions: Mapping[str, str],
        queue_urls: Mapping[str, str],
        outputs: Mapping[str, str],
    ) -> None:
        self.environment = environment
        self.outputs = outputs
        """Of the stack."""
        self.functions = functions
        """ARNs by the name of the handler."""
        self.queue_urls = queue_urls

    def client(self, service: str, **options: Any) -> Any:
        """Make a client, with options of botocore's `Config`."""
        return boto3.client(
            service,  # pyright: ignore[reportArgumentType]
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name=self.environment["AWS_REGION"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(**options),
        )

    @cached_property
    def states(self) -> Any:
        """Step Functions."""
        return self.client("stepfunctions")

    @cached_property
    def lambdas(self) -> Any:
        """Lambda."""
        return self.client("lambda")

    @cached_property
    def sqs(self) -> Any:
        """SQS."""
        return self.client("sqs")

    @cached_property
    def events(self) -> Any:
        """EventBridge."""
        return self.client("events")

    def task(self, handler: str, **fields: Any) -> dict[str, Any]:
        """A task state that calls a function and is the last."""
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": self.functions[handler], "Payload.$": "$"},
            "End": True,
            **fields,
        }

    def callback_task(self, handler: str, **fields: Any) -> dict[str, Any]:
        """A task state that hands its token to a function and waits for the answer."""
        payload = {"token.$": "$$.Task.Token", "state.$": "$"}
        parameters = {"FunctionName": self.functions[handler], "Payload": payload}
        resource = "arn:aws:states:::lambda:invoke.waitForTaskToken"
        return self.task(handler, Resource=resource, Parameters=parameters, **fields)

    def machine(self, states: Mapping[str, Any], role_arn: str | None = None, **fields: Any) -> str:
        """Create a state machine that begins with the state `Task`; return its ARN."""
        definition = json.dumps({"StartAt": "Task", "States": states, **fields})
        name = f"machine-{uuid4().hex[:8]}"
        role_arn = role_arn or self.outputs["RoleArn"]
        return self.states.create_state_machine(name=name, definition=definition, roleArn=role_arn)["stateMachineArn"]

    def start(self, machine_arn: str, given: Any = None, **fields: Any) -> str:
        """Start an execution; return its ARN."""
        text = json.dumps({} if given is None else given)
        return self.states.start_execution(stateMachineArn=machine_arn, input=text, **fields)["executionArn"]

    def ended(self, execution_arn: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """Wait for the end of an execution; return its description."""

        def look() -> dict[str, Any] | None:
            execution = self.states.describe_execution(executionArn=execution_arn)
            return execution if execution["status"] != "RUNNING" else None

        return wait_until(look, f"the end of {execution_arn}", timeout_s)

    def run(self, states: Mapping[str, Any], given: Any = None, **fields: Any) -> dict[str, Any]:
        """Run a state machine of these states to its end; return the execution's description."""
        return self.ended(self.start(self.machine(states, **fields), given))

    def history(self, execution_arn: str) -> list[dict[str, Any]]:
        """All events of an execution."""
        return self.states.get_execution_history(executionArn=execution_arn, maxResults=1000)["events"]

    def token(self, execution_arn: str) -> str:
        """Wait until a callback task was handed over; return its token."""

        def look() -> str | None:
            scheduled = [
                json.loads(event["taskScheduledEventDetails"]["parameters"])["Payload"]["token"]
                for event in self.history(execution_arn)
                if event["type"] == "TaskScheduled"
            ]
            submitted = [event for event in self.history(execution_arn) if event["type"] == "TaskSubmitted"]
            return scheduled[-1] if scheduled and len(submitted) == len(scheduled) else None

        return wait_until(look, f"the token of {execution_arn}")

    def messages(self, queue: str, count: int, timeout_s: float = 15.0) -> list[Any]:
        """Wait for so many messages of a queue, which tells JSON; return them in the order of their arrival."""
        found: list[Any] = []

        def look() -> list[Any] | None:
            answer = self.sqs.receive_message(
                QueueUrl=self.queue_urls[queue], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            for message in answer.get("Messages", []):
                self.sqs.delete_message(QueueUrl=self.queue_urls[queue], ReceiptHandle=message["ReceiptHandle"])
                found.append({**message, "Body": json.loads(message["Body"])})
            return found if len(found) >= count else None

        return wait_until(look, f"{count} messages in {queue}", timeout_s)


def wait_until(look: Callable[[], Answer | None], what: str, timeout_s: float = 10.0) -> Answer:
    """Look again and again until there is an answer; fail with `what` was waited for."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if (answer := look()) is not None:
            return answer
        time.sleep(0.03)
    raise AssertionError(f"{what}: not seen in {timeout_s:.0f} s")
