"""A local cloud comes up, says what it is, and leaves nothing behind."""

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from runctl.errors import AssemblyDamaged, AssemblyMissing, DeploymentFailed
from runctl.local.cloud import LocalCloud
from runctl.local.errors import LocalCloudDown, ServerDidNotStart
from tests.local.emulator.assembly import write_assembly
from tests.local.emulator.services import Services, wait_until

pytestmark = pytest.mark.local_cloud

TINY: dict[str, Any] = {
    "Parameters": {"AssetBucket": {"Type": "String"}},
    "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "tiny"}}},
}

BROKEN: dict[str, Any] = {
    "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17"}}},
    "Broken": {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": {"S3Bucket": {"Ref": "AssetBucket"}, "S3Key": "missing.zip"},
            "Handler": "module.handler",
            "Runtime": "python3.12",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        },
    },
}

SLEEPS = "import time\n\ndef handler(event, context):\n    time.sleep(60)\n"
WITH_FUNCTION: dict[str, Any] = {
    **TINY,
    "Resources": {
        "Role": BROKEN["Role"],
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                **BROKEN["Broken"]["Properties"],
                "Code": {"S3Bucket": {"Ref": "AssetBucket"}, "S3Key": "code.zip"},
                "FunctionName": "tiny",
                "Timeout": 100,
            },
        },
    },
}

WITH_STATE_MACHINE: dict[str, Any] = {
    **WITH_FUNCTION,
    "Resources": {
        **WITH_FUNCTION["Resources"],
        "Rights": {
            "Type": "AWS::IAM::Policy",
            "Properties": {
                "PolicyName": "rights",
                "Roles": [{"Ref": "Role"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}],
                },
            },
        },
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "StateMachineName": "tiny",
                "DefinitionString": {
                    "Fn::Sub": '{"StartAt": "Only", "States": {"Only": {"Type": "Task", "Resource": "${Function.Arn}", '
                    '"End": true}}}'
                },
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
            },
        },
    },
}


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def silence(_: str) -> None:
    """Nobody listens."""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    """A local cloud that is not up, with a template of one queue."""
    assembly_dir = write_assembly(tmp_path / "assembly", TINY)
    cloud = LocalCloud(tmp_path / "state", assembly_dir=assembly_dir)
    yield cloud
    cloud.down(say=silence)


def test_cloud_that_is_not_up_says_so(cloud: LocalCloud) -> None:
    assert not cloud.status().is_up
    assert cloud.down(say=silence) is False
    with pytest.raises(LocalCloudDown):
        cloud.environment()


def test_up_starts_one_process_and_deploys(local_cloud: LocalCloud) -> None:
    status = local_cloud.status()

    assert status.is_up
    assert status.stack_status == "CREATE_COMPLETE"
    assert status.pid is not None
    assert status.resident_mib is not None
    assert status.resident_mib < 300
    assert psutil.Process(status.pid).ppid() != os.getpid()
    assert local_cloud.environment()["AWS_ENDPOINT_URL"] == status.endpoint_url


def test_second_up_answers_with_what_runs(local_cloud: LocalCloud) -> None:
    said: list[str] = []
    first = local_cloud.status()

    second = local_cloud.up(say=said.append)

    assert (second.pid, second.endpoint_url) == (first.pid, first.endpoint_url)
    assert any("has not changed" in line for line in said)


def test_changed_template_is_deployed_by_the_next_up(cloud: LocalCloud, tmp_path: Path) -> None:
    cloud.up(say=silence)
    more = {"Topic": {"Type": "AWS::SNS::Topic"}}
    write_assembly(tmp_path / "assembly", {**TINY, "Resources": {**TINY["Resources"], **more}})

    status = cloud.up(say=silence)

    assert status.stack_status == "UPDATE_COMPLETE"


def test_down_ends_the_process_and_the_next_up_takes_its_port(cloud: LocalCloud) -> None:
    first = cloud.up(say=silence)
    server = psutil.Process(first.pid)

    ended = cloud.down(say=silence)

    assert ended
    assert not _lives(server)
    assert not cloud.status().is_up
    assert cloud.up(say=silence).endpoint_url == first.endpoint_url


def test_killed_server_is_not_up_and_up_starts_another(cloud: LocalCloud) -> None:
    first = cloud.up(say=silence)
    assert first.pid is not None
    process = psutil.Process(first.pid)
    process.send_signal(signal.SIGKILL)
    psutil.wait_procs([process], timeout=10)
    assert not cloud.status().is_up

    second = cloud.up(say=silence)

    assert second.is_up
    assert second.pid != first.pid


def test_other_archive_under_the_same_key_is_what_runs_after_the_next_up(cloud: LocalCloud, tmp_path: Path) -> None:
    write_assembly(tmp_path / "assembly", WITH_FUNCTION, {"module.py": "def handler(event, context):\n    return 1\n"})
    cloud.up(say=silence)
    write_assembly(tmp_path / "assembly", WITH_FUNCTION, {"module.py": "def handler(event, context):\n    return 2\n"})

    cloud.up(say=silence)

    lambdas = Services(cloud.environment(), {}, {}, {}).client("lambda")
    assert lambdas.invoke(FunctionName="tiny")["Payload"].read() == b"2"


def _by_event(services: Services) -> None:
    services.client("lambda").invoke(FunctionName="tiny", InvocationType="Event")


def _by_state_machine(services: Services) -> None:
    machine_arn = "arn:aws:states:us-east-1:123456789012:stateMachine:tiny"
    services.client("stepfunctions").start_execution(stateMachineArn=machine_arn)


@pytest.mark.parametrize("invoke", [_by_event, _by_state_machine])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_server_however_it_ended(
    cloud: LocalCloud, tmp_path: Path, how: signal.Signals, invoke: Callable[[Services], None]
) -> None:
    write_assembly(tmp_path / "assembly", WITH_STATE_MACHINE, {"module.py": SLEEPS})
    status = cloud.up(say=silence)
    invoke(Services(cloud.environment(), {}, {}, {}))
    server = psutil.Process(status.pid)
    nursery_and_environment = 2
    tree = wait_until(
        lambda: found if len(found := server.children(recursive=True)) == nursery_and_environment else None,
        "the processes of a function",
    )

    server.send_signal(how)

    wait_until(lambda: None if any(map(_lives, [server, *tree])) else True, "the end of every process", timeout_s=5)


def test_server_whose_folder_was_removed_ends_by_itself(cloud: LocalCloud, tmp_path: Path) -> None:
    server = psutil.Process(cloud.up(say=silence).pid)

    shutil.rmtree(tmp_path / "state")

    wait_until(lambda: None if _lives(server) else True, "the end of the server", timeout_s=15)
    assert not (tmp_path / "state").exists()


def test_taken_port_is_refused_with_its_number(cloud: LocalCloud) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ServerDidNotStart, match=str(port)):
            cloud.up(port=port, say=silence)

    assert not cloud.status().is_up


def test_failed_deployment_names_the_resource_and_a_corrected_template_deploys(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    write_assembly(tmp_path / "assembly", {**TINY, "Resources": BROKEN})

    with pytest.raises(DeploymentFailed, match=r"Broken \(AWS::Lambda::Function\): .*missing\.zip"):
        cloud.up(say=silence)

    assert cloud.status().is_up
    write_assembly(tmp_path / "assembly", TINY)
    assert cloud.up(say=silence).stack_status == "CREATE_COMPLETE"


def test_missing_assembly_is_told_before_anything_starts(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "state", assembly_dir=tmp_path / "nothing")

    with pytest.raises(AssemblyMissing):
        cloud.up(say=silence)

    assert not (tmp_path / "state").exists()


def test_template_that_is_not_the_manifests_is_refused(cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "assembly" / "template.json").write_text(json.dumps({**TINY, "Description": "changed"}))

    with pytest.raises(AssemblyDamaged, match=r"template\.json"):
        cloud.up(say=silence)


def test_credentials_of_a_real_account_never_reach_the_server(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a real one")
    monkeypatch.setenv("AWS_PROFILE", "production")

    status = cloud.up(say=silence)

    assert status.pid is not None
    environment = psutil.Process(status.pid).environ()
    assert "a real one" not in environment.values()
    assert "AWS_PROFILE" not in environment
