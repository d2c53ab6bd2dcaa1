"""A local cloud as the tests drive it: by the command line where a person would, by boto3 to look behind it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import boto3

from runctl.client.client import Client
from runctl.client.connect import connect
from runctl.client.documents import event_document
from runctl.local.cloud import LocalCloud
from runctl.model.history import MetricsHistory
from runctl.model.ids import RunId
from runctl.model.names import STACK_NAME, Output, Tag
from tests.demo.transitions import count_transitions

Answer = TypeVar("Answer")

ENDED = {"SUCCEEDED", "FAILED", "CANCELLED", "STOPPED"}


@dataclass(frozen=True)
class Command:
    """What a command of ours answered."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        return cast("dict[str, Any]", json.loads(self.stdout))

    @property
    def data(self) -> Any:
        """Its `data`."""
        return self.document["data"]


class Cloud:
    """A running local target, the project beside it, and how to ask both."""

    def __init__(self, root: Path, local: LocalCloud) -> None:
        self.root = root
        self.local = local
        self.environment = local.environment()
        self.api = Client(connect(environment=self.environment), project=root.name)

    def runctl(self, *arguments: str, output: str = "json", folder: str = ".") -> Command:
        """Run the command line in the project, or in a folder of it, as a person would."""
        return self.command_in(self.root / folder, *arguments, output=output)

    @staticmethod
    def command_in(folder: Path, *arguments: str, output: str = "json") -> Command:
        """Run the command line in a folder."""
        done = subprocess.run(
            [sys.executable, "-m", "runctl_cli", "--output", output, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONWARNINGS": "default"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Command(done.returncode, done.stdout, done.stderr)

    def client(self, service: str) -> Any:
        """Make a boto3 client of the emulated account."""
        return boto3.client(  # pyright: ignore[reportCallIssue,reportUnknownMemberType,reportUnknownVariableType]
            service,  # pyright: ignore[reportArgumentType]
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name=self.environment["AWS_REGION"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )

    def budgets_table(self) -> str:
        """Name of the budgets table."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        return cast("str", outputs[Output.BUDGETS_TABLE.value])

    def train(self, *script: str, options: tuple[str, ...] = (), folder: str = ".") -> str:
        """Start a run without waiting for it, of a script and its arguments or of what the options say; answer its
        id."""
        dashes = ("--",) if script[1:] else ()
        words = ("train", *script[:1], "--instance-type", "t3.micro", "--yes", *options, *dashes, *script[1:])
        command = self.runctl(*words, folder=folder)
        assert command.exit_code == 0, command
        return cast("str", command.data["run_id"])

    def status(self, run_id: str) -> dict[str, Any]:
        """The run's JSON, as `runctl status` prints it. Asked by the Python API: waiting asks often."""
        return self.api.document(self.api.run(run_id))

    def metrics(self, run_id: str) -> tuple[MetricsHistory, ...]:
        """The figures of the run's attempts."""
        return self.api.metrics(RunId(run_id))

    def wait_until(
        self, look: Callable[[], Answer | None], what: str, timeout_s: float = 45.0, *, pause_s: float = 0.1
    ) -> Answer:
        """Look again and again until there is an answer; fail with `what` was waited for."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if (answer := look()) is not None and answer is not False:
                return answer
            time.sleep(pause_s)
        raise AssertionError(f"{what}: not seen in {timeout_s:.0f} s")

    def wait_for_end(self, run_id: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait until the run has ended; answer its JSON."""

        def look() -> dict[str, Any] | None:
            run = self.status(run_id)
            return run if run["status"] in ENDED else None

        try:
            return self.wait_until(look, f"the end of {run_id}", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story(run_id)}") from None

    def story(self, run_id: str) -> str:
        """Everything that is known of a run, for a failing test's message."""
        return self.runctl("events", run_id, output="text").stdout + "\n" + json.dumps(self.status(run_id), indent=1)

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """The run's timeline, as `runctl events` prints it."""
        return [event_document(event) for event in self.api.events(RunId(run_id))]

    def wait_for_event(self, run_id: str, kind: str, timeout_s: float = 45.0) -> dict[str, Any]:
        """Wait for a timeline event of this kind; answer the newest of them."""

        def look() -> dict[str, Any] | None:
            found = [event for event in self.events(run_id) if event["kind"] == kind]
            return found[-1] if found else None

        return self.wait_until(look, f"'{kind}' of {run_id}", timeout_s)

    def ended_execution(self, execution_arn: str) -> dict[str, Any]:
        """Wait until the execution has ended, a moment after its run; answer its description."""
        states = self.client("stepfunctions")

        def look() -> dict[str, Any] | None:
            found = states.describe_execution(executionArn=execution_arn)
            return None if found["status"] == "RUNNING" else found

        return self.wait_until(look, f"the end of the execution {execution_arn}")

    def history(self, execution_arn: str) -> list[dict[str, Any]]:
        """The events of an execution, whole: after its end."""
        self.ended_execution(execution_arn)
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution_arn)
        return [event for page in pages for event in page["events"]]

    def transitions(self, execution_arn: str) -> int:
        """Count what Step Functions charges for: states entered, and retries."""
        return count_transitions(event["type"] for event in self.history(execution_arn))

    def machine_in_state(self, run_id: str | None, state: str, timeout_s: float = 30.0) -> str:
        """Wait until EC2 says that a machine of the run, or of any, is in this state; answer its id. Looks often."""
        ec2 = self.client("ec2")
        filters = [{"Name": "instance-state-name", "Values": [state]}]
        if run_id is not None:
            filters.append({"Name": f"tag:{Tag.RUN.value}", "Values": [run_id]})

        def look() -> str | None:
            found = [i for r in ec2.describe_instances(Filters=filters)["Reservations"] for i in r["Instances"]]
            return cast("str", found[0]["InstanceId"]) if found else None

        return self.wait_until(look, f"a machine of {run_id or 'any run'} that is {state}", timeout_s, pause_s=0.02)

    def live_machines(self) -> list[str]:
        """Instances that EC2 does not yet call terminated."""
        answer = self.client("ec2").describe_instances(
            Filters=[{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "shutting-down"]}]
        )
        return [i["InstanceId"] for reservation in answer["Reservations"] for i in reservation["Instances"]]
