"""Where machines stand: the stack's own network, or one that was given."""

from collections.abc import Callable

import pytest

from runctl.model.names import Parameter, Variable
from tests.infrastructure.deployed_template import DeployedTemplate

GIVEN = {Parameter.VPC_ID.value: "vpc-1", Parameter.SUBNET_IDS.value: "subnet-1,subnet-2"}


@pytest.mark.parametrize("zones", [2, 3, 6])
def test_there_is_one_public_subnet_a_zone(deploy: Callable[..., DeployedTemplate], zones: int) -> None:
    subnets = deploy(ZoneCount=str(zones)).of_type("AWS::EC2::Subnet").values()

    assert len(subnets) == zones
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == zones
    assert len({subnet["CidrBlock"] for subnet in subnets}) == zones
    assert all(subnet["MapPublicIpOnLaunch"] for subnet in subnets)


def test_the_way_out_is_a_gateway_and_nothing_is_paid_for_by_the_hour(template: DeployedTemplate) -> None:
    endpoints = template.of_type("AWS::EC2::VPCEndpoint").values()

    assert {endpoint["VpcEndpointType"] for endpoint in endpoints} == {"Gateway"}
    assert {endpoint["ServiceName"].rpartition(".")[2] for endpoint in endpoints} == {"s3", "dynamodb"}
    assert not template.of_type("AWS::EC2::NatGateway")


def test_a_given_network_is_used_and_none_is_made(deploy: Callable[..., DeployedTemplate]) -> None:
    given = deploy(**GIVEN)
    told = given.of_type("AWS::Lambda::Function")["FunctionsLaunchMachine"]["Environment"]["Variables"]
    (group,) = given.of_type("AWS::EC2::SecurityGroup").values()

    assert told[Variable.SUBNET_IDS] == "subnet-1,subnet-2"
    assert group["VpcId"] == "vpc-1"
    for kind in ("VPC", "Subnet", "InternetGateway", "RouteTable", "Route", "VPCEndpoint", "VPCGatewayAttachment"):
        assert not given.of_type(f"AWS::EC2::{kind}")


def test_half_a_network_is_refused_before_anything_is_made(template: DeployedTemplate) -> None:
    (rule,) = template.body["Rules"].values()
    (assertion,) = rule["Assertions"]

    assert "VpcId" in str(assertion["Assert"])
    assert "both" in assertion["AssertDescription"]
