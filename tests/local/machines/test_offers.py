"""What EC2 offers, and for how much."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.local.machines.cloud import Cloud
from tests.local.machines.test_fleets import refused

pytestmark = pytest.mark.local_cloud


def test_instance_types_say_what_an_image_is_chosen_by(cloud: Cloud) -> None:
    answer = cloud.ec2.describe_instance_types(InstanceTypes=["t4g.medium", "g5.xlarge", "trn1.2xlarge"])

    types = {each["InstanceType"]: each for each in answer["InstanceTypes"]}
    assert types["t4g.medium"]["ProcessorInfo"]["SupportedArchitectures"] == ["arm64"]
    assert types["g5.xlarge"]["GpuInfo"]["Gpus"][0]["Manufacturer"] == "NVIDIA"
    assert types["trn1.2xlarge"]["NeuronInfo"]["NeuronDevices"][0]["Name"] == "Trainium"
    with refused("InvalidInstanceType"):
        cloud.ec2.describe_instance_types(InstanceTypes=["t3.micro", "p9.huge"])


def test_offerings_name_the_zones_that_have_a_type(cloud: Cloud) -> None:
    answer = cloud.ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["p3.*"]}]
    )

    assert {each["Location"] for each in answer["InstanceTypeOfferings"]} == {"us-east-1a", "us-east-1b"}


def test_price_history_from_now_on_is_the_price_that_holds_now(cloud: Cloud) -> None:
    answer = cloud.ec2.describe_spot_price_history(
        InstanceTypes=["t3.micro"], ProductDescriptions=["Linux/UNIX"], StartTime=datetime.now(UTC)
    )

    prices = {point["AvailabilityZone"]: Decimal(point["SpotPrice"]) for point in answer["SpotPriceHistory"]}
    assert prices.keys() == {"us-east-1a", "us-east-1b", "us-east-1c"}
    assert all(Decimal(0) < price <= Decimal("0.0104") for price in prices.values())


def test_price_history_goes_back_in_pages_newest_first(cloud: Cloud) -> None:
    pages = cloud.ec2.get_paginator("describe_spot_price_history").paginate(
        InstanceTypes=["t3.micro"],
        AvailabilityZone="us-east-1a",
        StartTime=datetime.now(UTC) - timedelta(days=3),
        PaginationConfig={"PageSize": 5},
    )

    times = [point["Timestamp"] for page in pages for point in page["SpotPriceHistory"]]

    assert times == sorted(times, reverse=True)
    assert times[-1] <= datetime.now(UTC) - timedelta(days=3)
    assert len(set(times)) == len(times) == 13


def test_public_images_are_described(cloud: Cloud) -> None:
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    image_id = cloud.ssm.get_parameter(Name=name)["Parameter"]["Value"]

    image = cloud.ec2.describe_images(ImageIds=[image_id])["Images"][0]

    assert (image["Architecture"], image["State"]) == ("arm64", "available")
    with refused("InvalidAMIID.NotFound"):
        cloud.ec2.describe_images(ImageIds=["ami-0987654321fedcba0"])
