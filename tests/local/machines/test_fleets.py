"""CreateFleet of type instant."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from tests.local.machines.cloud import Cloud
from tests.local.machines.conftest import StartCloud

pytestmark = pytest.mark.local_cloud


@contextmanager
def refused(code: str) -> Generator[None]:
    """Expect AWS's error of this code."""
    with pytest.raises(ClientError) as error:
        yield
    assert error.value.response.get("Error", {}).get("Code") == code, error.value


def test_same_request_of_the_same_token_launches_once(cloud: Cloud, template: str) -> None:
    request = cloud.fleet_request(template, tags={"batch": "replayed"}, ClientToken="replayed")

    first, second = cloud.ec2.create_fleet(**request), cloud.ec2.create_fleet(**request)

    launched = cloud.ec2.describe_instances(Filters=[{"Name": "tag:batch", "Values": ["replayed"]}])["Reservations"]
    assert first["Instances"] == second["Instances"]
    assert first["FleetId"] == second["FleetId"]
    assert [len(reservation["Instances"]) for reservation in launched] == [1]


def test_token_is_remembered_by_the_next_server(start_cloud: StartCloud) -> None:
    cloud = start_cloud(0.0)
    request = cloud.fleet_request(cloud.make_template("plain"), ClientToken="kept")
    first = cloud.ec2.create_fleet(**request)
    cloud.stop()

    again = start_cloud(0.0)

    assert again.ec2.create_fleet(**request)["Instances"] == first["Instances"]


def test_token_of_a_fleet_that_got_nothing_answers_nothing_for_ever(cloud: Cloud, template: str) -> None:
    request = cloud.fleet_request(template, spot=True, ClientToken="nothing")
    cloud.http("POST", "/_runctl/no-capacity", {"pools": ["t3.micro"]})
    first = cloud.ec2.create_fleet(**request)
    cloud.http("POST", "/_runctl/no-capacity", {"pools": ["t3.micro"], "for_s": 0})

    second = cloud.ec2.create_fleet(**request)

    assert first["Instances"] == second["Instances"] == []
    assert first["Errors"] == second["Errors"]
    assert cloud.ec2.create_fleet(**{**request, "ClientToken": "another"})["Instances"]


def test_other_request_of_the_same_token_is_refused(cloud: Cloud, template: str) -> None:
    cloud.ec2.create_fleet(**cloud.fleet_request(template, tags={"number": "1"}, ClientToken="changed"))

    with refused("IdempotentParameterMismatch"):
        cloud.ec2.create_fleet(**cloud.fleet_request(template, tags={"number": "2"}, ClientToken="changed"))


def test_instance_carries_the_requests_tags_and_ec2s_own(cloud: Cloud, template: str) -> None:
    answer = cloud.ec2.create_fleet(**cloud.fleet_request(template, spot=True, tags={"team": "blue"}))

    instance = cloud.instance(answer["Instances"][0]["InstanceIds"][0])
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert tags["team"] == "blue"
    assert tags["aws:ec2:fleet-id"] == answer["FleetId"]
    assert tags["aws:ec2launchtemplate:id"] == template
    assert instance["InstanceLifecycle"] == "spot"


@pytest.mark.parametrize(
    ("override", "code"),
    [
        ({"InstanceType": "p3.2xlarge", "AvailabilityZone": "us-east-1c"}, "Unsupported"),
        ({"InstanceType": "p9.huge", "AvailabilityZone": "us-east-1a"}, "Unsupported"),
        ({"InstanceType": "t4g.medium", "AvailabilityZone": "us-east-1a"}, "InvalidParameterValue"),
        ({"InstanceType": "t3.micro", "MaxPrice": "0.0001"}, "SpotMaxPriceTooLow"),
        ({"InstanceType": "t3.micro", "SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
        ({"InstanceType": "t3.micro", "ImageId": "ami-0987654321fedcba0"}, "InvalidAMIID.NotFound"),
    ],
)
def test_pool_that_cannot_serve_is_an_error_of_the_answer(
    cloud: Cloud, template: str, override: dict[str, str], code: str
) -> None:
    request = cloud.fleet_request(template, spot=True)
    request["LaunchTemplateConfigs"][0]["Overrides"] = [override]

    answer = cloud.ec2.create_fleet(**request)

    assert answer["Instances"] == []
    assert {error["ErrorCode"] for error in answer["Errors"]} == {code}


def test_pools_are_tried_in_the_order_of_priority_where_that_is_asked_for(cloud: Cloud, template: str) -> None:
    request = cloud.fleet_request(template, spot=True)
    request["SpotOptions"] = {"AllocationStrategy": "capacity-optimized-prioritized"}
    request["LaunchTemplateConfigs"][0]["Overrides"] = [
        {"InstanceType": "t3.micro", "AvailabilityZone": "us-east-1a", "Priority": 2.0},
        {"InstanceType": "m5.large", "AvailabilityZone": "us-east-1b", "Priority": 1.0},
    ]

    answer = cloud.ec2.create_fleet(**request)

    assert [instance["InstanceType"] for instance in answer["Instances"]] == ["m5.large"]


def test_unknown_template_and_unsupported_wishes_are_refused(cloud: Cloud, template: str) -> None:
    with refused("InvalidLaunchTemplateId.NotFound"):
        cloud.ec2.create_fleet(**cloud.fleet_request("lt-0123456789abcdef0"))
    with refused("UnsupportedOperation"):
        cloud.ec2.create_fleet(**{**cloud.fleet_request(template), "Type": "maintain"})
    with refused("UnsupportedOperation"):
        cloud.ec2.create_fleet(**cloud.fleet_request(template, ExcessCapacityTerminationPolicy="termination"))
    with refused("DryRunOperation"):
        cloud.ec2.create_fleet(**cloud.fleet_request(template, DryRun=True))


def test_template_that_ec2_would_refuse_launches_nothing(cloud: Cloud) -> None:
    big = cloud.make_template("big", "#!/bin/sh\n" + "#" * 16_384)
    odd = cloud.make_template("odd")

    errors = [
        cloud.ec2.create_fleet(**cloud.fleet_request(big))["Errors"],
        cloud.ec2.create_fleet(**cloud.fleet_request(odd, tags={"run/id": "1"}))["Errors"],
    ]

    assert ["limited to 16384 bytes" in each[0]["ErrorMessage"] for each in errors] == [True, False]
    assert "'run/id' is not a valid tag key" in errors[1][0]["ErrorMessage"]


def test_run_instances_launches_from_a_template_and_once_a_token(cloud: Cloud, template: str) -> None:
    request = {
        "MinCount": 2,
        "MaxCount": 2,
        "ClientToken": "two",
        "LaunchTemplate": {"LaunchTemplateId": template},
        "InstanceType": "t3.small",
        "InstanceMarketOptions": {"MarketType": "spot"},
    }

    first, second = cloud.ec2.run_instances(**request), cloud.ec2.run_instances(**request)

    ids = [instance["InstanceId"] for instance in first["Instances"]]
    assert len(ids) == 2
    assert [instance["InstanceId"] for instance in second["Instances"]] == ids
    assert {instance["InstanceType"] for instance in first["Instances"]} == {"t3.small"}
    for instance_id in ids:
        assert cloud.wait_for_state(instance_id, "running")["InstanceLifecycle"] == "spot"
    cloud.ec2.terminate_instances(InstanceIds=ids)
