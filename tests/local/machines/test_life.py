"""A machine is launched, boots, is reached through Systems Manager, and ends."""

import pytest

from tests.local.machines.cloud import Cloud

pytestmark = pytest.mark.local_cloud


def test_launched_machine_runs_its_user_data_and_comes_online(cloud: Cloud) -> None:
    template_id = cloud.make_template("greeting", '#!/bin/sh\necho hello from "$RUNCTL_ROOT" > "$HOME/greeting"\n')

    instance_id = cloud.launch_online(template_id)

    greeting = cloud.wait_until(lambda: cloud.shell(instance_id, "cat greeting"), "the greeting")
    assert greeting.startswith("hello from /")
    assert cloud.instance(instance_id)["State"] == {"Code": 16, "Name": "running"}


def test_command_is_run_and_its_output_kept(cloud: Cloud, template: str) -> None:
    instance_id = cloud.launch_online(template)

    command_id = cloud.send(instance_id, "echo out", "echo err >&2", "exit 3")
    invocation = cloud.wait_for_command(instance_id, command_id)

    assert (invocation["Status"], invocation["ResponseCode"]) == ("Failed", 3)
    assert invocation["StandardOutputContent"] == "out\n"
    assert invocation["StandardErrorContent"] == "err\n"


def test_terminated_machine_says_why_and_tells_each_state(cloud: Cloud, template: str) -> None:
    instance_id = cloud.launch_online(template)

    answer = cloud.ec2.terminate_instances(InstanceIds=[instance_id])
    instance = cloud.wait_for_state(instance_id, "terminated")

    change = answer["TerminatingInstances"][0]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "shutting-down")
    assert instance["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    states = [event["detail"]["state"] for event in cloud.events(instance_id=instance_id)]
    assert states == ["pending", "running", "shutting-down", "terminated"]
    assert not cloud.is_online(instance_id)
