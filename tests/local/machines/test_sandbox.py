"""A machine's processes: what they see, and that none of them outlives the machine or the server."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.local.machines.cloud import Cloud, is_alive
from tests.local.machines.conftest import StartCloud

pytestmark = pytest.mark.local_cloud

# Grandchildren that do what daemons do: a session of their own, a double fork, an emptied environment.
RUNAWAYS = {
    "child": "sleep 300 </dev/null >/dev/null 2>&1 & echo $!",
    "session": "setsid sh -c 'echo $$; exec sleep 300 </dev/null >/dev/null 2>&1' & sleep 0.3",
    "orphan": "sh -c 'setsid sleep 300 </dev/null >/dev/null 2>&1 & echo $!'",
    "emptied": "sh -c 'env -i setsid sleep 300 </dev/null >/dev/null 2>&1 & echo $!'",
}


@pytest.fixture
def own_cloud(start_cloud: StartCloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A server that a test may end, on a host with secrets in its environment."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "host-secret")
    monkeypatch.setenv("HF_TOKEN", "host-secret")
    return start_cloud(0.0)


def test_machine_has_its_own_home_and_root_and_nothing_of_the_hosts_secrets(own_cloud: Cloud) -> None:
    instance_id = own_cloud.launch_online(own_cloud.make_template("plain"))

    lines = own_cloud.shell(instance_id, "env", "pwd", "which python3 uv").splitlines()

    variables = dict(line.split("=", 1) for line in lines if "=" in line)
    assert "host-secret" not in "\n".join(lines)
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"} & variables.keys()
    assert instance_id in variables["HOME"]
    assert instance_id in variables["RUNCTL_ROOT"]
    assert variables["HOME"] == lines[-3]
    assert variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] == f"{own_cloud.url}/imds/{instance_id}/"
    assert "127.0.0.1" in variables["no_proxy"].split(",")
    assert lines[-2].endswith("/python3")
    assert lines[-1].endswith("/uv")


@pytest.mark.parametrize("script", RUNAWAYS.values(), ids=RUNAWAYS.keys())
def test_terminated_machine_leaves_no_process(cloud: Cloud, template: str, script: str) -> None:
    instance_id = cloud.launch_online(template)
    pid = int(cloud.shell(instance_id, script))
    assert is_alive(pid)

    cloud.ec2.terminate_instances(InstanceIds=[instance_id])
    cloud.wait_for_state(instance_id, "terminated")

    assert not is_alive(pid)


def test_terminated_machine_leaves_its_log_and_no_disk(cloud: Cloud) -> None:
    template_id = cloud.make_template("talker", "#!/bin/sh\necho spoken; echo kept > $HOME/file\n")
    instance_id = cloud.launch_online(template_id)
    cloud.wait_until(lambda: "spoken" in console(cloud, instance_id), "the console's text")

    cloud.ec2.terminate_instances(InstanceIds=[instance_id])
    cloud.wait_for_state(instance_id, "terminated")

    machine = next(each for each in machines(cloud) if each["instance_id"] == instance_id)
    assert "spoken" in Path(machine["console"]).read_text()
    assert not (Path(machine["directory"]) / "home").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_survives_the_death_of_the_server(own_cloud: Cloud, number: signal.Signals) -> None:
    instance_id = own_cloud.launch_online(own_cloud.make_template("plain"))
    pids = [int(own_cloud.shell(instance_id, script)) for script in RUNAWAYS.values()]
    pids.append(machines(own_cloud)[0]["pid"])
    assert all(is_alive(pid) for pid in pids)

    os.kill(own_cloud.process.pid, number)
    own_cloud.process.wait()

    own_cloud.wait_until(lambda: not any(is_alive(pid) for pid in pids), "the end of all processes")


def test_machines_of_a_dead_server_are_terminated_for_the_next_one(own_cloud: Cloud, start_cloud: StartCloud) -> None:
    instance_id = own_cloud.launch_online(own_cloud.make_template("plain"))
    own_cloud.process.kill()
    own_cloud.process.wait()

    instance = start_cloud(0.0).instance(instance_id)

    assert instance["State"]["Name"] == "terminated"
    assert instance["StateReason"]["Code"] == "Server.InternalError"


def test_machine_that_powers_itself_off_is_terminated_by_its_own_wish(cloud: Cloud, template: str) -> None:
    instance_id = cloud.launch_online(template, spot=True)

    cloud.send(instance_id, "sudo shutdown -h now")

    instance = cloud.wait_for_state(instance_id, "terminated")
    assert instance["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_first_process_that_dies_is_a_host_that_failed(cloud: Cloud, template: str) -> None:
    instance_id = cloud.launch_online(template)
    pid = next(each["pid"] for each in machines(cloud) if each["instance_id"] == instance_id)

    os.kill(pid, signal.SIGKILL)

    instance = cloud.wait_for_state(instance_id, "terminated")
    assert instance["StateReason"]["Code"] == "Server.InternalError"


def machines(cloud: Cloud) -> list[dict[str, Any]]:
    return cloud.http("GET", "/_runctl/machines").json["machines"]


def console(cloud: Cloud, instance_id: str) -> str:
    return cloud.ec2.get_console_output(InstanceId=instance_id).get("Output", "")
