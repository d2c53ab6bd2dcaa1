"""A local cloud comes up, says what it is, and leaves nothing behind."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from runctl.local.assembly import AssemblyDamaged
from runctl.local.cloud import LocalCloud
from runctl.local.errors import AssemblyMissing, DeploymentFailed, LocalCloudDown, ServerDidNotStart
from tests.local.emulator.assembly import write_assembly
from tests.local.emulator.server_module import SERVER_MODULE

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


def silence(_: str) -> None:
    """Nobody listens."""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    """A local cloud that is not up, with a template of one queue."""
    assembly_dir = write_assembly(tmp_path / "assembly", TINY)
    cloud = LocalCloud(tmp_path / "state", assembly_dir=assembly_dir, server_module=SERVER_MODULE)
    yield cloud
    cloud.down(say=silence)


def test_cloud_that_is_not_up_says_so(cloud: LocalCloud) -> None:
    assert not cloud.status().is_up
    assert cloud.down(say=silence) is False
    with pytest.raises(LocalCloudDown):
        cloud.environment()


def test_up_starts_one_process_and_deploys(cloud: LocalCloud) -> None:
    status = cloud.up(say=silence)

    assert status.is_up
    assert status.stack_status == "CREATE_COMPLETE"
    assert status.pid is not None
    assert psutil.Process(status.pid).ppid() != os.getpid()
    assert cloud.environment()["AWS_ENDPOINT_URL"] == status.endpoint_url


def test_second_up_answers_with_what_runs(cloud: LocalCloud) -> None:
    said: list[str] = []
    first = cloud.up(say=silence)

    second = cloud.up(say=said.append)

    assert (second.pid, second.endpoint_url) == (first.pid, first.endpoint_url)
    assert any("has not changed" in line for line in said)


def test_changed_template_is_deployed_by_the_next_up(cloud: LocalCloud, tmp_path: Path) -> None:
    cloud.up(say=silence)
    more = {"Topic": {"Type": "AWS::SNS::Topic"}}
    write_assembly(tmp_path / "assembly", {**TINY, "Resources": {**TINY["Resources"], **more}})

    status = cloud.up(say=silence)

    assert status.stack_status == "UPDATE_COMPLETE"


def test_down_ends_the_process_and_frees_the_port(cloud: LocalCloud) -> None:
    status = cloud.up(say=silence)
    assert status.pid is not None

    ended = cloud.down(say=silence)

    assert ended
    assert not psutil.pid_exists(status.pid)
    assert not cloud.status().is_up


def test_next_up_takes_the_port_of_the_last_one(cloud: LocalCloud) -> None:
    first = cloud.up(say=silence)
    cloud.down(say=silence)

    second = cloud.up(say=silence)

    assert second.endpoint_url == first.endpoint_url


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


def test_taken_port_is_refused_with_its_number(cloud: LocalCloud) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ServerDidNotStart, match=str(port)):
            cloud.up(port=port, say=silence)

    assert not cloud.status().is_up


def test_failed_deployment_names_the_resource_and_the_reason(cloud: LocalCloud, tmp_path: Path) -> None:
    write_assembly(tmp_path / "assembly", {**TINY, "Resources": BROKEN})

    with pytest.raises(DeploymentFailed, match=r"Broken \(AWS::Lambda::Function\): .*missing\.zip"):
        cloud.up(say=silence)

    assert cloud.status().is_up


def test_corrected_template_deploys_after_a_failed_one(cloud: LocalCloud, tmp_path: Path) -> None:
    write_assembly(tmp_path / "assembly", {**TINY, "Resources": BROKEN})
    with pytest.raises(DeploymentFailed):
        cloud.up(say=silence)
    write_assembly(tmp_path / "assembly", TINY)

    status = cloud.up(say=silence)

    assert status.stack_status == "CREATE_COMPLETE"


def test_missing_assembly_is_told_before_anything_starts(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "state", assembly_dir=tmp_path / "nothing", server_module=SERVER_MODULE)

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
