"""Looking behind the command line, into the account: the execution's history and the bucket."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

import boto3

from runctl.model import keys
from runctl.model.ids import RunId
from runctl.model.names import STACK_NAME, Output
from tests.demo.transitions import count_transitions

_END_S = 20.0


class Account:
    """The account that the variables (`AWS_ENDPOINT_URL`, …) lead to."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def client(self, service: str) -> Any:
        """Make a boto3 client."""
        return cast("Any", boto3.client)(
            service,
            endpoint_url=self._environment["AWS_ENDPOINT_URL"],
            region_name=self._environment["AWS_REGION"],
            aws_access_key_id=self._environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self._environment["AWS_SECRET_ACCESS_KEY"],
        )

    def output(self, name: Output) -> str:
        """Read an output of the stack."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
        return next(output["OutputValue"] for output in stack["Outputs"] if output["OutputKey"] == name.value)

    def transitions(self, execution_arn: str) -> int:
        """Count the state transitions of an execution, after its end: a moment after that of its run."""
        states = self.client("stepfunctions")
        deadline = time.monotonic() + _END_S
        while states.describe_execution(executionArn=execution_arn)["status"] == "RUNNING":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{execution_arn} did not end {_END_S:.0f} s after its run")
            time.sleep(0.1)
        pages = states.get_paginator("get_execution_history").paginate(executionArn=execution_arn)
        return count_transitions(event["type"] for page in pages for event in page["events"])

    def output_file(self, run_id: str, name: str) -> bytes | None:
        """Fetch a file that the run's training left in its output folder; the newest attempt's, None when none did."""
        s3, bucket = self.client("s3"), self.output(Output.BUCKET)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=keys.attempts_prefix(RunId(run_id)))
        found = [item["Key"] for page in pages for item in page.get("Contents", [])]
        matching = sorted(key for key in found if key.endswith(f"/output/{name}"))
        return cast("bytes", s3.get_object(Bucket=bucket, Key=matching[-1])["Body"].read()) if matching else None

    def invocations(self) -> Counter[str]:
        """Count how often each function was invoked so far, by the line that Lambda itself writes to its log."""
        logs = self.client("logs")
        found: Counter[str] = Counter()
        groups = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/aws/lambda/")
        for name in [group["logGroupName"] for page in groups for group in page["logGroups"]]:
            pages = logs.get_paginator("filter_log_events").paginate(
                logGroupName=name, filterPattern='"START RequestId"'
            )
            events = [event["message"] for page in pages for event in page["events"]]
            found[name.rpartition("/")[2]] = sum(message.startswith("START RequestId") for message in events)
        return found

    def writes(self, run_id: str) -> dict[str, int]:
        """Count the writes to a run's items: every write of a run or an attempt adds one to its `version`, and a
        timeline event and the note that people were told are written once."""
        pages = (
            self.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.output(Output.RUNS_TABLE),
                KeyConditionExpression="pk = :run",
                ExpressionAttributeValues={":run": {"S": keys.run_partition(RunId(run_id))}},
                ConsistentRead=True,
            )
        )
        found = {"run": 0, "attempts": 0, "events": 0, "notes": 0}
        for item in (item for page in pages for item in page["Items"]):
            kind = item["sk"]["S"].partition("#")[0]
            if kind in ("EVENT", "TOLD"):
                found["events" if kind == "EVENT" else "notes"] += 1
            else:
                found["run" if kind == keys.META_SORT_KEY else "attempts"] += int(item["version"]["N"])
        return found
