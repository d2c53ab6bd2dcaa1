"""Delivering events once more, late, or in the wrong order, as EventBridge may."""

import json
from datetime import UTC, datetime
from typing import Any, cast

from runctl.model.agent_event import AgentEventKind, sign
from runctl.model.base import iso
from runctl.model.names import AGENT_EVENT_SOURCE, STACK_NAME, Function, Output
from runctl.model.service_events import COMMAND_EVENT, CommandStatus, MachineEventKind
from tests.local.runs.cloud import Cloud


class Delivery:
    """Events for the runs of one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        (stack,) = cloud.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
        self._outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        self._lambda = cloud.client("lambda")
        names = [
            f["FunctionName"]
            for page in self._lambda.get_paginator("list_functions").paginate()
            for f in page["Functions"]
        ]
        self._functions = cast("list[str]", names)

    def machine_event(self, kind: MachineEventKind, instance_id: str, **detail: str) -> None:
        """Hand an event of EC2 to its function. PutEvents refuses sources of AWS's own, so the rule is passed by."""
        event = {
            "version": "0",
            "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
            "detail-type": kind.value,
            "source": "aws.ec2",
            "account": "123456789012",
            "time": iso(datetime.now(UTC)),
            "region": self._cloud.environment["AWS_REGION"],
            "resources": [f"arn:aws:ec2:us-east-1a:instance/{instance_id}"],
            "detail": {"instance-id": instance_id, **detail},
        }
        self._invoke(Function.OBSERVE_MACHINE, event)

    def agent_event(self, detail: dict[str, Any]) -> None:
        """Put an event of the agent on our bus, as it is."""
        entry = {
            "EventBusName": self._outputs[Output.BUS_NAME.value],
            "Source": AGENT_EVENT_SOURCE,
            "DetailType": detail["kind"],
            "Detail": json.dumps(detail),
        }
        answer = self._cloud.client("events").put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0, answer

    def signed(self, run_id: str, number: int, kind: AgentEventKind, data: dict[str, Any]) -> dict[str, Any]:
        """Make an event as the attempt's agent would, signed with the secret that only it and the table know."""
        item = self.attempt_item(run_id, number)
        detail = {
            "version": 1,
            "run_id": run_id,
            "attempt": number,
            "instance_id": item["instance_id"]["S"],
            "kind": kind.value,
            "time": iso(datetime.now(UTC)),
            "data": data,
        }
        return {**detail, "signature": sign(detail, item["secret"]["S"])}

    def attempt_item(self, run_id: str, number: int) -> dict[str, Any]:
        """An attempt as the table holds it; empty when it does not."""
        key = {"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": f"ATTEMPT#{number:04d}"}}
        table = self._outputs[Output.RUNS_TABLE.value]
        answer = self._cloud.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)
        return cast("dict[str, Any]", answer.get("Item", {}))

    def command_failed(self, instance_id: str, command_id: str) -> None:
        """Hand SSM's event of a failed command to its function."""
        event = {
            "version": "0",
            "id": "51c0891d-0e34-45b1-83d6-95db273d1602",
            "detail-type": COMMAND_EVENT,
            "source": "aws.ssm",
            "account": "123456789012",
            "time": iso(datetime.now(UTC)),
            "region": self._cloud.environment["AWS_REGION"],
            "resources": [f"arn:aws:ec2:us-east-1:123456789012:instance/{instance_id}"],
            "detail": {"command-id": command_id, "instance-id": instance_id, "status": CommandStatus.FAILED.value},
        }
        self._invoke(Function.OBSERVE_COMMAND, event)

    def final_marker(self, run_id: str) -> dict[str, Any]:
        """Read the signed `Training Ended` that the last attempt's agent left in the bucket."""
        s3, bucket = self._cloud.client("s3"), self._outputs[Output.BUCKET.value]
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"runs/{run_id}/attempts/")["Contents"]
        key = sorted(item["Key"] for item in listed if item["Key"].endswith("/final.json"))[-1]
        return cast("dict[str, Any]", json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))

    def _invoke(self, function: Function, event: dict[str, Any]) -> None:
        answer = self._lambda.invoke(FunctionName=self.function(function), Payload=json.dumps(event))
        assert "FunctionError" not in answer, answer["Payload"].read()

    def function(self, function: Function) -> str:
        """Find a function by the service name that it logs under; its own name is the stack's affair."""
        for name in self._functions:
            variables = self._lambda.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            if variables.get("POWERTOOLS_SERVICE_NAME") == function.value:
                return name
        raise AssertionError(f"{function.value} is not among {self._functions}")
