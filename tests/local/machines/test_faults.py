"""Faults: interruption, rebalance recommendation, dead hosts, missing capacity."""

from datetime import datetime
from typing import Any

import pytest

from tests.local.machines.cloud import Cloud, is_alive
from tests.local.machines.conftest import StartCloud
from tests.local.machines.test_metadata import read

pytestmark = pytest.mark.local_cloud


def spot_request(cloud: Cloud, instance_id: str) -> dict[str, Any]:
    answer = cloud.ec2.describe_spot_instance_requests(Filters=[{"Name": "instance-id", "Values": [instance_id]}])
    assert len(answer["SpotInstanceRequests"]) == 1
    return answer["SpotInstanceRequests"][0]


def test_interruption_warns_at_once_and_ends_the_machine_when_the_notice_is_over(cloud: Cloud, template: str) -> None:
    instance_id = cloud.launch_online(template, spot=True)
    assert spot_request(cloud, instance_id)["Status"]["Code"] == "fulfilled"

    cloud.http("POST", "/_runctl/interrupt", {"instance_id": instance_id, "notice_s": 2})

    action = read(cloud, instance_id, "meta-data/spot/instance-action").json
    assert action["action"] == "terminate"
    assert datetime.fromisoformat(action["time"]).tzinfo is not None
    request = spot_request(cloud, instance_id)
    assert (request["Status"]["Code"], request["State"]) == ("instance-terminated-no-capacity", "closed")
    assert cloud.instance(instance_id)["State"]["Name"] == "running"
    warning = cloud.wait_until(
        lambda: cloud.events(instance_id=instance_id, instance_action="terminate"), "the warning"
    )[0]
    assert warning["detail-type"] == "EC2 Spot Instance Interruption Warning"
    assert warning["resources"] == [f"arn:aws:ec2:us-east-1a:instance/{instance_id}"]
    instance = cloud.wait_for_state(instance_id, "terminated")
    assert instance["StateReason"]["Code"] == "Server.SpotInstanceTermination"


def test_interruption_ends_a_machine_that_still_boots(start_cloud: StartCloud) -> None:
    cloud = start_cloud(30.0)
    instance_id = cloud.launch(cloud.make_template("slow"), spot=True)

    cloud.http("POST", "/_runctl/interrupt", {"instance_id": instance_id, "notice_s": 0})

    instance = cloud.wait_for_state(instance_id, "terminated")
    assert instance["StateReason"]["Code"] == "Server.SpotInstanceTermination"


def test_rebalance_recommendation_is_told_and_shown(cloud: Cloud, template: str) -> None:
    instance_id = cloud.launch_online(template, spot=True)

    cloud.http("POST", "/_runctl/rebalance", {"instance_id": instance_id})

    notice = read(cloud, instance_id, "meta-data/events/recommendations/rebalance").json
    assert datetime.fromisoformat(notice["noticeTime"]).tzinfo is not None
    kinds = [event["detail-type"] for event in cloud.events(instance_id=instance_id)]
    assert "EC2 Instance Rebalance Recommendation" in kinds
    assert cloud.instance(instance_id)["State"]["Name"] == "running"


def test_killed_machine_ends_with_its_processes(cloud: Cloud, template: str) -> None:
    instance_id = cloud.launch_online(template)
    pid = int(cloud.shell(instance_id, "sleep 300 >/dev/null 2>&1 & echo $!"))
    assert is_alive(pid)

    cloud.http("POST", "/_runctl/kill", {"instance_id": instance_id})

    instance = cloud.wait_for_state(instance_id, "terminated")
    assert instance["StateReason"]["Code"] == "Server.InternalError"
    assert not is_alive(pid)


def test_silently_killed_machine_runs_on_as_far_as_ec2_knows(cloud: Cloud, template: str) -> None:
    instance_id = cloud.launch_online(template)
    pid = int(cloud.shell(instance_id, "sleep 300 >/dev/null 2>&1 & echo $!"))

    cloud.http("POST", "/_runctl/kill", {"instance_id": instance_id, "silent": True})

    cloud.wait_until(lambda: not is_alive(pid), "the end of the process")
    assert cloud.instance(instance_id)["State"]["Name"] == "running"
    command_id = cloud.send(instance_id, "echo nobody hears this")
    invocation = cloud.ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id)
    assert invocation["Status"] == "Pending"
    cloud.ec2.terminate_instances(InstanceIds=[instance_id])
    cloud.wait_for_state(instance_id, "terminated")


def test_empty_pool_gives_an_error_beside_http_200_and_other_pools_serve(cloud: Cloud, template: str) -> None:
    cloud.http("POST", "/_runctl/no-capacity", {"pools": ["t3.micro/us-east-1a/spot"]})
    request = cloud.fleet_request(template, spot=True)
    request["LaunchTemplateConfigs"][0]["Overrides"].append(
        {"InstanceType": "t3.small", "AvailabilityZone": "us-east-1b"}
    )

    answer = cloud.ec2.create_fleet(**request)
    cloud.http("POST", "/_runctl/no-capacity", {"pools": ["t3.micro/us-east-1a/spot"], "for_s": 0})
    later = cloud.ec2.create_fleet(**cloud.fleet_request(template, spot=True))

    assert [error["ErrorCode"] for error in answer["Errors"]] == ["UnfulfillableCapacity"]
    assert answer["Errors"][0]["Lifecycle"] == "spot"
    assert [instance["InstanceType"] for instance in answer["Instances"]] == ["t3.small"]
    assert later["Errors"] == []


@pytest.mark.parametrize(
    ("what", "body", "status", "message"),
    [
        ("interrupt", {"instance_id": "i-0123456789abcdef0"}, 404, "There is no machine i-0123456789abcdef0."),
        ("interrupt", {}, 400, "instance_id: Field required"),
        ("no-capacity", {"pools": ["not a pool"]}, 400, "'not a pool' is no pool"),
        ("no-capacity", {"pools": ["*"], "for_s": -1}, 400, "for_s"),
        ("meteor", {}, 404, "There is no POST /_runctl/meteor."),
    ],
)
def test_fault_that_makes_no_sense_is_refused(
    cloud: Cloud, what: str, body: dict[str, Any], status: int, message: str
) -> None:
    reply = cloud.http("POST", f"/_runctl/{what}", body)

    assert reply.status == status
    assert message in reply.json["message"]


def test_on_demand_machine_is_not_interrupted(cloud: Cloud, template: str) -> None:
    instance_id = cloud.launch(template)

    reply = cloud.http("POST", "/_runctl/interrupt", {"instance_id": instance_id})

    assert reply.status == 400
    assert "on-demand" in reply.json["message"]


def test_machines_are_listed_with_what_a_person_wants_to_look_at(cloud: Cloud, template: str) -> None:
    instance_id = cloud.launch_online(template)

    machines = {machine["instance_id"]: machine for machine in cloud.http("GET", "/_runctl/machines").json["machines"]}

    assert machines[instance_id]["state"] == "running"
    assert is_alive(machines[instance_id]["pid"])
