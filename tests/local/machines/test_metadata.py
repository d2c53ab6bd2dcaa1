"""The instance metadata service of a machine."""

import json

import pytest

from tests.local.machines.cloud import ROLE, Cloud, Reply

pytestmark = pytest.mark.local_cloud


def read(cloud: Cloud, instance_id: str, path: str) -> Reply:
    token = cloud.http(
        "PUT", f"/imds/{instance_id}/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    headers = {"X-aws-ec2-metadata-token": token.text}
    return cloud.http("GET", f"/imds/{instance_id}/latest/{path}", headers=headers)


@pytest.fixture(scope="module")
def machine(cloud: Cloud, template: str) -> str:
    """A spot machine."""
    return cloud.launch_online(template, spot=True, tags={"Name": "one", "team": "blue"})


@pytest.mark.parametrize("headers", [{}, {"X-aws-ec2-metadata-token": "AAAA"}, {"X-aws-ec2-metadata-token": "Zm9v"}])
def test_request_without_a_good_token_is_refused(cloud: Cloud, machine: str, headers: dict[str, str]) -> None:
    reply = cloud.http("GET", f"/imds/{machine}/latest/meta-data/instance-id", headers=headers)

    assert reply.status == 401


def test_token_of_another_machine_is_refused(cloud: Cloud, machine: str, template: str) -> None:
    other = cloud.launch(template)
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = cloud.http("PUT", f"/imds/{other}/latest/api/token", headers=ttl).text

    reply = cloud.http(
        "GET", f"/imds/{machine}/latest/meta-data/instance-id", headers={"X-aws-ec2-metadata-token": token}
    )

    assert reply.status == 401


@pytest.mark.parametrize("ttl", [None, "0", "21601", "soon"])
def test_token_needs_a_time_to_live(cloud: Cloud, machine: str, ttl: str | None) -> None:
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": ttl} if ttl is not None else {}

    assert cloud.http("PUT", f"/imds/{machine}/latest/api/token", headers=headers).status == 400


def test_metadata_says_what_the_instance_is(cloud: Cloud, machine: str) -> None:
    paths = {
        "instance-id": machine,
        "instance-type": "t3.micro",
        "instance-life-cycle": "spot",
        "placement/availability-zone": "us-east-1a",
        "placement/region": "us-east-1",
        "tags/instance": "Name\naws:ec2:fleet-id\naws:ec2launchtemplate:id\naws:ec2launchtemplate:version\nteam",
        "tags/instance/team": "blue",
        "iam/security-credentials": ROLE,
    }

    found = {path: read(cloud, machine, f"meta-data/{path}").text for path in paths}

    assert found == paths
    assert "placement/" in read(cloud, machine, "meta-data/").text.splitlines()
    assert read(cloud, machine, "meta-data/nothing").status == 404
    assert read(cloud, machine, "meta-data/spot/instance-action").status == 404
    assert read(cloud, machine, "meta-data/events/recommendations/rebalance").status == 404
    assert json.loads(read(cloud, machine, "dynamic/instance-identity/document").text)["instanceId"] == machine


def test_role_credentials_are_the_roles_under_the_instances_name(cloud: Cloud, machine: str) -> None:
    script = "import boto3; print(boto3.client('sts').get_caller_identity()['UserId'])"

    user_id = cloud.shell(machine, f'python3 -c "{script}"').strip()

    role_id = cloud.client("iam").get_role(RoleName=ROLE)["Role"]["RoleId"]
    assert user_id == f"{role_id}:{machine}"


def test_machine_that_ended_has_no_metadata_service(cloud: Cloud, template: str) -> None:
    instance_id = cloud.launch_online(template)
    cloud.ec2.terminate_instances(InstanceIds=[instance_id])

    assert read(cloud, instance_id, "meta-data/instance-id").status == 404
