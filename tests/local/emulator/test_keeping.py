"""What survives `down` and the next `up`, and what a killed server leaves."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from runctl.local.cloud import LocalCloud
from tests.local.emulator.assembly import write_assembly
from tests.local.emulator.conftest import services_of
from tests.local.emulator.functions import SOURCE, TEMPLATE

pytestmark = pytest.mark.local_cloud

WAIT = {"Task": {"Type": "Wait", "Seconds": 600, "End": True}}


def silence(_: str) -> None:
    """Nobody listens."""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    """A local cloud of its own, with the test functions."""
    assembly_dir = write_assembly(tmp_path / "assembly", TEMPLATE, {"functions.py": SOURCE})
    cloud = LocalCloud(tmp_path / "state", assembly_dir=assembly_dir)
    cloud.up(say=silence)
    yield cloud
    cloud.down(say=silence)


def test_stack_tables_and_objects_survive_and_what_ran_has_failed(cloud: LocalCloud) -> None:
    services = services_of(cloud)
    bucket, table = services.outputs["BucketName"], services.outputs["TableName"]
    services.client("s3").put_object(Bucket=bucket, Key="checkpoint", Body=b"weights")
    services.client("dynamodb").put_item(TableName=table, Item={"pk": {"S": "RUN#1"}})
    ended = services.start(services.machine({"Task": {"Type": "Succeed"}}))
    services.ended(ended)
    running = services.start(services.machine(WAIT))
    said: list[str] = []

    cloud.down(say=silence)
    cloud.up(say=said.append)

    services = services_of(cloud)
    assert any("has not changed" in line for line in said)
    assert services.client("s3").get_object(Bucket=bucket, Key="checkpoint")["Body"].read() == b"weights"
    assert "Item" in services.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": "RUN#1"}})
    assert services.states.describe_execution(executionArn=ended)["status"] == "SUCCEEDED"
    execution = services.states.describe_execution(executionArn=running)
    assert (execution["status"], execution["error"]) == ("FAILED", "States.Runtime")
    assert "went down" in execution["cause"]
    assert services.history(running)[-1]["type"] == "ExecutionFailed"
    (message,) = services.messages("statuses", 1)
    assert message["Body"]["detail"]["executionArn"] == running
    assert services.lambdas.invoke(FunctionName=services.functions["echo"], Payload=b'"still here"')[
        "Payload"
    ].read() == (b'"still here"')


def test_killed_server_goes_back_to_the_last_down(cloud: LocalCloud) -> None:
    services = services_of(cloud)
    table = services.outputs["TableName"]
    services.client("dynamodb").put_item(TableName=table, Item={"pk": {"S": "RUN#1"}})
    cloud.down(say=silence)
    cloud.up(say=silence)
    services_of(cloud).client("dynamodb").put_item(TableName=table, Item={"pk": {"S": "RUN#2"}})
    server = psutil.Process(cloud.status().pid)
    server.send_signal(signal.SIGKILL)
    psutil.wait_procs([server], timeout=5)

    cloud.up(say=silence)

    items = services_of(cloud).client("dynamodb").scan(TableName=table)["Items"]
    assert items == [{"pk": {"S": "RUN#1"}}]


def test_server_that_is_killed_before_its_first_down_leaves_nothing_in_the_way(cloud: LocalCloud) -> None:
    services = services_of(cloud)
    services.client("s3").put_object(Bucket=services.outputs["BucketName"], Key="old", Body=b"old")
    server = psutil.Process(cloud.status().pid)
    server.send_signal(signal.SIGKILL)
    psutil.wait_procs([server], timeout=5)

    status = cloud.up(say=silence)

    assert status.stack_status == "CREATE_COMPLETE"
    services = services_of(cloud)
    assert "Contents" not in services.client("s3").list_objects_v2(Bucket=services.outputs["BucketName"])
