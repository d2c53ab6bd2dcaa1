"""Whether a subnet has a way out to the internet, which its machines need for AWS's APIs and for packages."""

from typing import TYPE_CHECKING, Final

from runctl.aws.errors import aws_errors

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client
    from types_boto3_ec2.type_defs import RouteTypeDef, SubnetTypeDef

_EVERYWHERE: Final = "0.0.0.0/0"


class Egress:
    """Routes of a VPC."""

    def __init__(self, client: "EC2Client") -> None:
        self._client = client

    def problem(self, subnet_id: str) -> str | None:
        """Say what keeps machines in this subnet from the internet; None when nothing is seen.

        A gateway of the VPC serves only machines with a public address; what leads elsewhere (NAT, transit gateway,
        peering, an appliance) is taken to lead out (VPC User Guide, "Internet gateways").
        """
        with aws_errors():
            (subnet, *_) = self._client.describe_subnets(SubnetIds=[subnet_id])["Subnets"]
            route = self._default_route(subnet)
        if route is None:
            return f"{subnet_id} has no route to the internet."
        if route.get("State") == "blackhole":
            return f"The default route of {subnet_id} leads to something that is gone."
        if route.get("GatewayId", "").startswith("igw-") and not subnet.get("MapPublicIpOnLaunch", False):
            return f"{subnet_id} leads to an internet gateway, but gives its machines no public address."
        return None

    def _default_route(self, subnet: "SubnetTypeDef") -> "RouteTypeDef | None":
        """The subnet's own route table counts, else its VPC's main one."""
        own = self._client.describe_route_tables(
            Filters=[{"Name": "association.subnet-id", "Values": [subnet.get("SubnetId", "")]}]
        )["RouteTables"]
        tables = (
            own
            or self._client.describe_route_tables(
                Filters=[
                    {"Name": "vpc-id", "Values": [subnet.get("VpcId", "")]},
                    {"Name": "association.main", "Values": ["true"]},
                ]
            )["RouteTables"]
        )
        for table in tables:
            for route in table.get("Routes", []):
                if route.get("DestinationCidrBlock") == _EVERYWHERE:
                    return route
        return None
