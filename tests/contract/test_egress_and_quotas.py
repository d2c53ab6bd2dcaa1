"""EC2's routes and quotas, as the doctor reads them."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from runctl.aws.egress import Egress
from runctl.aws.quotas import Quota, Quotas, quota_of
from runctl.errors import PermissionDenied
from runctl.model.run import PurchaseOption
from tests.contract.stubs import stubbed

SUBNET = "subnet-1"
OWN = [{"Name": "association.subnet-id", "Values": [SUBNET]}]
MAIN = [{"Name": "vpc-id", "Values": ["vpc-1"]}, {"Name": "association.main", "Values": ["true"]}]
LOCAL = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}


def _default(**target: str) -> dict[str, str]:
    return {"DestinationCidrBlock": "0.0.0.0/0", "State": "active", **target}


def _problem(route: dict[str, str] | None, *, is_public: bool = True, own_table: bool = True) -> str | None:
    table = {"RouteTables": [{"Routes": [LOCAL, *([route] if route else [])]}]}
    with stubbed("ec2", Egress) as (egress, stubber):
        subnet = {"SubnetId": SUBNET, "VpcId": "vpc-1", "MapPublicIpOnLaunch": is_public}
        stubber.add_response("describe_subnets", {"Subnets": [subnet]}, {"SubnetIds": [SUBNET]})
        stubber.add_response("describe_route_tables", table if own_table else {"RouteTables": []}, {"Filters": OWN})
        if not own_table:
            stubber.add_response("describe_route_tables", table, {"Filters": MAIN})
        return egress.problem(SUBNET)


@pytest.mark.parametrize("own_table", [True, False], ids=["own table", "main table"])
def test_public_subnet_with_an_internet_gateway_has_a_way_out(own_table: bool) -> None:
    assert _problem(_default(GatewayId="igw-1"), own_table=own_table) is None


@pytest.mark.parametrize("target", [{"NatGatewayId": "nat-1"}, {"TransitGatewayId": "tgw-1"}], ids=str)
def test_private_subnet_with_a_nat_or_transit_gateway_has_a_way_out(target: dict[str, str]) -> None:
    assert _problem(_default(**target), is_public=False) is None


def test_internet_gateway_serves_only_machines_with_a_public_address() -> None:
    told = _problem(_default(GatewayId="igw-1"), is_public=False)

    assert told is not None
    assert "no public address" in told


def test_subnet_without_a_default_route_has_no_way_out() -> None:
    assert _problem(None) == "subnet-1 has no route to the internet."


def test_route_to_what_was_deleted_is_no_way_out() -> None:
    told = _problem({**_default(NatGatewayId="nat-1"), "State": "blackhole"})

    assert told is not None
    assert "gone" in told


@pytest.mark.parametrize(
    ("instance_type", "on_demand", "spot"),
    [
        ("t3.micro", "L-1216C47A", "L-34B43A08"),
        ("m7g.large", "L-1216C47A", "L-34B43A08"),
        ("is4gen.medium", "L-1216C47A", "L-34B43A08"),
        ("g5.xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("g4dn.xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("p3.2xlarge", "L-417A185B", "L-7212CCBC"),
        ("p4d.24xlarge", "L-417A185B", "L-7212CCBC"),
        ("p5.48xlarge", "L-417A185B", "L-C4BD4855"),
        ("trn1.2xlarge", "L-2C3B7624", "L-6B0D517C"),
        ("inf2.xlarge", "L-1945791B", "L-B5D1601B"),
        ("dl1.24xlarge", "L-6E869C2A", "L-85EED4F7"),
        ("x2idn.16xlarge", "L-7295265B", "L-E3A00192"),
        ("f1.2xlarge", "L-74FC7D96", "L-88CF9481"),
    ],
)
def test_types_count_towards_the_quota_of_their_family(instance_type: str, on_demand: str, spot: str) -> None:
    found = [quota_of(instance_type, option) for option in (PurchaseOption.ON_DEMAND, PurchaseOption.SPOT)]

    assert [quota and quota.code for quota in found] == [on_demand, spot]


@pytest.mark.parametrize("instance_type", ["hpc7g.4xlarge", "mac2.metal", "u-6tb1.metal", "q1.large", "nonsense"])
def test_type_of_an_unknown_family_has_no_quota_that_is_guessed(instance_type: str) -> None:
    assert quota_of(instance_type, PurchaseOption.SPOT) is None


def _service_quotas() -> tuple[Quotas, Stubber]:
    client: Any = boto3.client("service-quotas", region_name="us-east-1")
    ec2: Any = boto3.client("ec2", region_name="us-east-1")
    return Quotas(client, ec2), Stubber(client)


QUOTA = Quota("L-1216C47A", "Standard")
REQUEST = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}


def test_quota_that_was_never_changed_has_awss_default() -> None:
    quotas, stubber = _service_quotas()
    stubber.add_client_error("get_service_quota", "NoSuchResourceException", expected_params=REQUEST)
    stubber.add_response("get_aws_default_service_quota", {"Quota": {"Value": 5.0}}, REQUEST)

    with stubber:
        assert quotas.value(QUOTA) == 5


def test_refused_look_is_no_quota_of_zero() -> None:
    quotas, stubber = _service_quotas()
    stubber.add_client_error("get_service_quota", "AccessDeniedException", expected_params=REQUEST)

    with stubber, pytest.raises(PermissionDenied):
        quotas.value(QUOTA)
