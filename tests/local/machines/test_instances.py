"""EC2's calls about instances that exist."""

from typing import Any

import pytest

from tests.local.machines.cloud import Cloud
from tests.local.machines.test_fleets import refused

pytestmark = pytest.mark.local_cloud

NOWHERE = "i-0123456789abcdef0"


@pytest.fixture(scope="module")
def five(cloud: Cloud, template: str) -> list[str]:
    """Six machines, five of them of a kind."""
    ids = [cloud.launch(template, spot=number == 0, tags={"group": "five"}) for number in range(5)]
    cloud.launch(template, tags={"group": "other"})
    for instance_id in ids:
        cloud.wait_for_state(instance_id, "running")
    return ids


def described(cloud: Cloud, **filters: list[str]) -> set[str]:
    named = [{"Name": name.replace("__", ":").replace("_", "-"), "Values": values} for name, values in filters.items()]
    pages = cloud.ec2.get_paginator("describe_instances").paginate(Filters=named, PaginationConfig={"PageSize": 5})
    return {i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]}


def test_filters_narrow_what_is_described(cloud: Cloud, five: list[str]) -> None:
    assert described(cloud, tag__group=["five"]) == set(five)
    assert described(cloud, tag__group=["fi*"], instance_lifecycle=["spot"]) == {five[0]}
    assert described(cloud, tag_key=["group"], instance_id=five[:2]) == set(five[:2])
    assert described(cloud, tag__group=["five"], instance_state_name=["terminated", "stopped"]) == set()
    assert described(cloud, tag__group=["five"], instance_type=["t3.?icro"], availability_zone=["us-east-1a"]) == set(
        five
    )


def test_unknown_filter_is_refused_and_not_passed_over(cloud: Cloud) -> None:
    with refused("InvalidParameterValue"):
        cloud.ec2.describe_instances(Filters=[{"Name": "moon-phase", "Values": ["full"]}])


def test_pages_hold_what_was_asked_for_and_come_to_an_end(cloud: Cloud, five: list[str]) -> None:
    first = cloud.ec2.describe_instances(MaxResults=5)
    rest = cloud.ec2.describe_instances(MaxResults=1000, NextToken=first["NextToken"])

    ids = [i["InstanceId"] for page in (first, rest) for r in page["Reservations"] for i in r["Instances"]]
    assert sum(len(r["Instances"]) for r in first["Reservations"]) == 5
    assert len(ids) == len(set(ids))
    assert set(ids) >= set(five)
    assert not rest.get("NextToken")


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"InstanceIds": [NOWHERE]}, "InvalidInstanceID.NotFound"),
        ({"InstanceIds": ["machine"]}, "InvalidInstanceID.Malformed"),
        ({"MaxResults": 1}, "InvalidParameterValue"),
        ({"NextToken": "?"}, "InvalidParameterValue"),
        ({"InstanceIds": [NOWHERE], "MaxResults": 5}, "InvalidParameterCombination"),
    ],
)
def test_description_that_makes_no_sense_is_refused(cloud: Cloud, parameters: dict[str, Any], code: str) -> None:
    with refused(code):
        cloud.ec2.describe_instances(**parameters)


def test_stopped_machine_keeps_its_disk_and_starts_again(cloud: Cloud, template: str) -> None:
    instance_id = cloud.launch_online(template)
    cloud.shell(instance_id, "echo kept > file")
    cloud.ec2.stop_instances(InstanceIds=[instance_id])
    cloud.wait_for_state(instance_id, "stopped")
    assert not cloud.is_online(instance_id)
    assert "PublicIpAddress" not in cloud.instance(instance_id)

    cloud.ec2.start_instances(InstanceIds=[instance_id])

    cloud.wait_until(lambda: cloud.is_online(instance_id), "the agent")
    assert cloud.shell(instance_id, "cat file") == "kept\n"
    assert cloud.instance(instance_id)["PublicIpAddress"].startswith("203.0.113.")


def test_rebooted_machine_comes_back_without_its_processes(cloud: Cloud) -> None:
    template_id = cloud.make_template("counting", "#!/bin/sh\necho booted >> $HOME/boots\n")
    instance_id = cloud.launch_online(template_id)
    before = cloud.shell(instance_id, "echo $PPID")

    cloud.ec2.reboot_instances(InstanceIds=[instance_id])

    cloud.wait_until(lambda: cloud.is_online(instance_id), "the agent")
    assert cloud.shell(instance_id, "cat boots") == "booted\n"
    assert cloud.shell(instance_id, "echo $PPID") != before


def test_spot_machine_cannot_be_stopped(cloud: Cloud, five: list[str]) -> None:
    with refused("UnsupportedOperation"):
        cloud.ec2.stop_instances(InstanceIds=[five[0]])

    assert cloud.instance(five[0])["State"]["Name"] == "running"


def test_terminated_machine_cannot_be_started_stopped_or_rebooted_but_terminated_again(
    cloud: Cloud, template: str
) -> None:
    instance_id = cloud.launch_online(template)
    cloud.ec2.terminate_instances(InstanceIds=[instance_id])
    cloud.wait_for_state(instance_id, "terminated")

    for change in (cloud.ec2.start_instances, cloud.ec2.stop_instances, cloud.ec2.reboot_instances):
        with refused("IncorrectInstanceState"):
            change(InstanceIds=[instance_id])
    again = cloud.ec2.terminate_instances(InstanceIds=[instance_id])

    assert again["TerminatingInstances"][0]["CurrentState"]["Name"] == "terminated"


def test_one_unknown_instance_leaves_the_others_as_they_are(cloud: Cloud, five: list[str]) -> None:
    with refused("InvalidInstanceID.NotFound"):
        cloud.ec2.terminate_instances(InstanceIds=[five[1], NOWHERE])

    assert cloud.instance(five[1])["State"]["Name"] == "running"


def test_status_shows_running_instances_and_finds_a_dead_one_impaired(cloud: Cloud, template: str) -> None:
    instance_id = cloud.launch_online(template)
    before = cloud.ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"][0]
    cloud.http("POST", "/_runctl/kill", {"instance_id": instance_id, "silent": True})

    after = cloud.ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"][0]

    assert before["SystemStatus"]["Status"] == "ok"
    assert after["SystemStatus"]["Status"] == "impaired"
    cloud.ec2.terminate_instances(InstanceIds=[instance_id])


def test_tags_are_made_changed_found_and_deleted(cloud: Cloud, five: list[str]) -> None:
    vpc_id = cloud.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    cloud.ec2.create_tags(Resources=[five[2], vpc_id], Tags=[{"Key": "colour", "Value": "red"}])
    found = cloud.ec2.describe_tags(Filters=[{"Name": "key", "Values": ["colour"]}])["Tags"]

    cloud.ec2.delete_tags(Resources=[five[2], vpc_id], Tags=[{"Key": "colour"}])

    assert {(tag["ResourceId"], tag["ResourceType"]) for tag in found} == {(five[2], "instance"), (vpc_id, "vpc")}
    assert "colour" not in {tag["Key"] for tag in cloud.instance(five[2])["Tags"]}
    with refused("InvalidParameterValue"):
        cloud.ec2.create_tags(Resources=[five[2]], Tags=[{"Key": "aws:mine", "Value": "no"}])


@pytest.mark.parametrize(
    ("call", "parameters", "code"),
    [
        ("describe_fleets", {}, "UnsupportedOperation"),
        ("describe_instance_attribute", {"InstanceId": NOWHERE, "Attribute": "userData"}, "UnsupportedOperation"),
        ("request_spot_instances", {}, "UnsupportedOperation"),
        ("get_spot_placement_scores", {"TargetCapacity": 1}, "InvalidAction"),
    ],
)
def test_call_that_nobody_can_answer_fails_loudly(
    cloud: Cloud, call: str, parameters: dict[str, Any], code: str
) -> None:
    with refused(code):
        getattr(cloud.ec2, call)(**parameters)


def test_other_services_answer_through_the_front(cloud: Cloud) -> None:
    cloud.client("s3").create_bucket(Bucket="behind-the-front")
    cloud.client("s3").put_object(Bucket="behind-the-front", Key="imds", Body=b"x" * 100_000)

    assert cloud.client("s3").get_object(Bucket="behind-the-front", Key="imds")["Body"].read() == b"x" * 100_000
    assert cloud.client("sts").get_caller_identity()["Account"] == "123456789012"
