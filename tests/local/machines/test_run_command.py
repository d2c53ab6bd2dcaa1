"""Systems Manager: agents, Run Command, public parameters."""

import time
from typing import Any

import pytest

from tests.local.machines.cloud import Cloud
from tests.local.machines.conftest import StartCloud
from tests.local.machines.test_fleets import refused

pytestmark = pytest.mark.local_cloud

AL2023 = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


@pytest.fixture(scope="module")
def machine(cloud: Cloud, template: str) -> str:
    """A machine that is online."""
    return cloud.launch_online(template, tags={"crew": "one"})


def test_command_before_the_agent_is_online_is_refused(start_cloud: StartCloud) -> None:
    cloud = start_cloud(0.8)
    instance_id = cloud.launch(cloud.make_template("plain"))

    with refused("InvalidInstanceId"):
        cloud.send(instance_id, "true")
    assert cloud.ssm.describe_instance_information()["InstanceInformationList"] == []
    cloud.wait_until(lambda: cloud.is_online(instance_id), "the agent")

    assert cloud.shell(instance_id, "echo now") == "now\n"


def test_machine_without_a_role_never_comes_online(cloud: Cloud) -> None:
    answer = cloud.ec2.run_instances(MinCount=1, MaxCount=1, ImageId=f"resolve:ssm:{AL2023}", InstanceType="t3.micro")
    instance_id = answer["Instances"][0]["InstanceId"]
    cloud.wait_for_state(instance_id, "running")

    with refused("InvalidInstanceId"):
        cloud.send(instance_id, "true")


def test_command_tells_each_status_by_event_and_shows_no_output_before_its_end(cloud: Cloud, machine: str) -> None:
    command_id = cloud.send(machine, "echo early", "while [ ! -e go ]; do sleep 0.02; done", "rm go")
    cloud.wait_until(lambda: cloud.events(command_id=command_id, status="InProgress"), "the start")
    during = cloud.ssm.get_command_invocation(CommandId=command_id, InstanceId=machine)

    cloud.shell(machine, "touch go")
    after = cloud.wait_for_command(machine, command_id)

    assert (during["Status"], during["StandardOutputContent"], during["ResponseCode"]) == ("InProgress", "", -1)
    assert (after["Status"], after["StandardOutputContent"], after["ResponseCode"]) == ("Success", "early\n", 0)
    told = [
        (event["detail-type"].split()[2], event["detail"]["status"]) for event in cloud.events(command_id=command_id)
    ]
    assert told == [
        ("Status-change", "Pending"),
        ("Invocation", "InProgress"),
        ("Status-change", "InProgress"),
        ("Invocation", "Success"),
        ("Status-change", "Success"),
    ]


def test_command_that_takes_too_long_is_killed(cloud: Cloud, machine: str) -> None:
    started = time.monotonic()

    invocation = cloud.wait_for_command(machine, cloud.send(machine, "sleep 60", executionTimeout=["1"]))

    assert time.monotonic() - started < 40
    assert (invocation["Status"], invocation["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")


def test_cancelled_command_is_killed(cloud: Cloud, machine: str) -> None:
    command_id = cloud.send(machine, "sleep 60")
    cloud.wait_until(lambda: cloud.events(command_id=command_id, status="InProgress"), "the start")

    cloud.ssm.cancel_command(CommandId=command_id)

    assert cloud.wait_for_command(machine, command_id)["Status"] == "Cancelled"
    command = cloud.ssm.list_commands(CommandId=command_id)["Commands"][0]
    assert (command["Status"], command["CompletedCount"]) == ("Cancelled", 1)


def test_started_process_outlives_its_command(cloud: Cloud, machine: str) -> None:
    cloud.shell(machine, "setsid sh -c 'sleep 0.3; echo done > later' </dev/null >/dev/null 2>&1 &")

    assert cloud.wait_until(lambda: "done" in cloud.shell(machine, "cat later 2>/dev/null || true"), "the file")


def test_working_directory_interpreter_line_and_missing_command_are_as_in_a_shell(cloud: Cloud, machine: str) -> None:
    cloud.shell(machine, "mkdir -p deep")

    inside = cloud.wait_for_command(machine, cloud.send(machine, "pwd", workingDirectory=["deep"]))
    python = cloud.wait_for_command(machine, cloud.send(machine, "#!/usr/bin/env python3", "print(6 * 7)"))
    missing = cloud.wait_for_command(machine, cloud.send(machine, "no-such-command"))

    assert inside["StandardOutputContent"].endswith("/home/deep\n")
    assert python["StandardOutputContent"] == "42\n"
    assert missing["ResponseCode"] == 127


def test_command_goes_to_machines_by_tag(cloud: Cloud, machine: str) -> None:
    answer = cloud.ssm.send_command(
        Targets=[{"Key": "tag:crew", "Values": ["one"]}],
        DocumentName="AWS-RunShellScript",
        Parameters={"commands": ["echo here"]},
    )

    invocation = cloud.wait_for_command(machine, answer["Command"]["CommandId"])
    assert invocation["StandardOutputContent"] == "here\n"
    listed = cloud.ssm.list_command_invocations(CommandId=answer["Command"]["CommandId"], Details=True)
    assert [each["InstanceId"] for each in listed["CommandInvocations"]] == [machine]
    assert listed["CommandInvocations"][0]["CommandPlugins"][0]["Output"] == "here\n"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"DocumentName": "AWS-RunPowerShellScript"}, "UnsupportedOperation"),
        ({"Parameters": {"commands": ["true"], "executionTimeout": ["172801"]}}, "InvalidParameters"),
        ({"Parameters": {"commands": ["true"], "shell": ["bash"]}}, "InvalidParameters"),
        ({"Parameters": {}}, "InvalidParameters"),
        ({"OutputS3BucketName": "output"}, "UnsupportedOperation"),
        ({"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceId"),
        ({"TimeoutSeconds": 5}, "ValidationException"),
    ],
)
def test_command_that_makes_no_sense_is_refused(
    cloud: Cloud, machine: str, parameters: dict[str, Any], code: str
) -> None:
    request = {"InstanceIds": [machine], "DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}}
    body = {**request, **parameters}

    with refused(code):
        unchecked(cloud).send_command(**body)


def test_unknown_command_does_not_exist(cloud: Cloud, machine: str) -> None:
    with refused("InvocationDoesNotExist"):
        cloud.ssm.get_command_invocation(CommandId="0" * 36, InstanceId=machine)


def test_agents_are_found_by_filter_of_either_kind(cloud: Cloud, machine: str) -> None:
    new = cloud.ssm.describe_instance_information(Filters=[{"Key": "tag:crew", "Values": ["one"]}])
    old = cloud.ssm.describe_instance_information(
        InstanceInformationFilterList=[{"key": "InstanceIds", "valueSet": [machine]}]
    )

    for answer in (new, old):
        assert [agent["InstanceId"] for agent in answer["InstanceInformationList"]] == [machine]
    assert new["InstanceInformationList"][0]["PlatformType"] == "Linux"


def test_public_parameters_stand_beside_own_ones(cloud: Cloud) -> None:
    cloud.ssm.put_parameter(Name="/mine", Value="own", Type="String")

    answer = cloud.ssm.get_parameters(Names=["/mine", AL2023, "/aws/service/none"])
    below = cloud.ssm.get_parameters_by_path(Path="/aws/service/deeplearning", Recursive=True)["Parameters"]

    values = {parameter["Name"]: parameter["Value"] for parameter in answer["Parameters"]}
    assert values["/mine"] == "own"
    assert values[AL2023].startswith("ami-")
    assert answer["InvalidParameters"] == ["/aws/service/none"]
    assert cloud.ssm.get_parameter(Name="/mine")["Parameter"]["Value"] == "own"
    assert len(below) > 3
    with refused("ParameterNotFound"):
        cloud.ssm.get_parameter(Name="/aws/service/none")


def unchecked(cloud: Cloud) -> Any:
    """A client that lets the server find what is wrong."""
    return cloud.client("ssm", checked=False)
