"""Where the machines stand: a network that was given, or one of the stack's own."""

from typing import Final

from aws_cdk import Aws, CfnCondition, Fn, Stack
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from stacks.constructs.parameters import MAX_ZONES, MIN_ZONES, Parameters

_CIDR: Final = "10.83.0.0/16"
_ANYWHERE: Final = "0.0.0.0/0"


class Network(Construct):
    """Public subnets, one an Availability Zone, and a security group without a way in.

    Low-level resources, for each stands under a condition: the high-level `Vpc` decides at synthesis, and an
    environment-agnostic one knows of two zones only. No NAT gateway: a public IPv4 address costs a tenth of it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, parameters: Parameters) -> None:
        super().__init__(scope, construct_id)
        makes_network = parameters.makes_network
        vpc = ec2.CfnVPC(self, "Vpc", cidr_block=_CIDR, enable_dns_hostnames=True, enable_dns_support=True)
        vpc.cfn_options.condition = makes_network
        routes = self._public_routes(vpc, makes_network)
        subnets = [
            (condition, self._subnet(index, vpc, routes, condition))
            for index, condition in enumerate(self._zone_conditions(parameters))
        ]
        self._gateway_endpoints(vpc, routes, makes_network)
        own_subnets = Fn.join(
            ",",
            [
                subnet.ref
                if index < MIN_ZONES
                else Fn.condition_if(condition.logical_id, subnet.ref, Aws.NO_VALUE).to_string()
                for index, (condition, subnet) in enumerate(subnets)
            ],
        )
        self.subnet_ids = Fn.condition_if(makes_network.logical_id, own_subnets, parameters.subnet_ids).to_string()
        """Comma-separated."""
        self.security_group = ec2.CfnSecurityGroup(
            self,
            "MachineSecurityGroup",
            group_description="Machines of runctl: no way in; out to HTTPS, and to HTTP for package mirrors.",
            vpc_id=Fn.condition_if(makes_network.logical_id, vpc.ref, parameters.vpc_id).to_string(),
            security_group_ingress=[],
            # DNS, NTP and the metadata service of AWS are not subject to security groups (VPC User Guide).
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    ip_protocol="tcp", from_port=port, to_port=port, cidr_ip=_ANYWHERE, description=description
                )
                for port, description in ((443, "AWS APIs, packages, data"), (80, "package mirrors, public data sets"))
            ],
        )

    def _zone_conditions(self, parameters: Parameters) -> list[CfnCondition]:
        """One condition for each possible zone: the stack makes a network and at least so many zones are wanted."""
        conditions = [parameters.makes_network] * MIN_ZONES
        for number in range(MIN_ZONES + 1, MAX_ZONES + 1):
            wanted = [
                Fn.condition_equals(parameters.zone_count.value_as_string, str(count))
                for count in range(number, MAX_ZONES + 1)
            ]
            enough = Fn.condition_or(*wanted) if len(wanted) > 1 else wanted[0]
            conditions.append(
                CfnCondition(
                    Stack.of(self),
                    f"Makes{number}Zones",
                    # A condition is a condition expression in the CDK's own types, but not in their Python protocol.
                    expression=Fn.condition_and(parameters.makes_network, enough),  # type: ignore[arg-type]
                )
            )
        return conditions

    def _public_routes(self, vpc: ec2.CfnVPC, condition: CfnCondition) -> ec2.CfnRouteTable:
        gateway = ec2.CfnInternetGateway(self, "InternetGateway")
        attachment = ec2.CfnVPCGatewayAttachment(
            self, "GatewayAttachment", vpc_id=vpc.ref, internet_gateway_id=gateway.ref
        )
        table = ec2.CfnRouteTable(self, "RouteTable", vpc_id=vpc.ref)
        route = ec2.CfnRoute(
            self,
            "InternetRoute",
            route_table_id=table.ref,
            destination_cidr_block=_ANYWHERE,
            gateway_id=gateway.ref,
        )
        route.add_resource_dependency(attachment)
        for resource in (gateway, attachment, table, route):
            resource.cfn_options.condition = condition
        return table

    def _subnet(self, index: int, vpc: ec2.CfnVPC, routes: ec2.CfnRouteTable, condition: CfnCondition) -> ec2.CfnSubnet:
        subnet = ec2.CfnSubnet(
            self,
            f"Subnet{index + 1}",
            vpc_id=vpc.ref,
            availability_zone=Fn.select(index, Fn.get_azs()),
            cidr_block=f"10.83.{index * 16}.0/20",
            map_public_ip_on_launch=True,
        )
        association = ec2.CfnSubnetRouteTableAssociation(
            self, f"Subnet{index + 1}Routes", subnet_id=subnet.ref, route_table_id=routes.ref
        )
        for resource in (subnet, association):
            resource.cfn_options.condition = condition
        return subnet

    def _gateway_endpoints(self, vpc: ec2.CfnVPC, routes: ec2.CfnRouteTable, condition: CfnCondition) -> None:
        """Free of charge, and checkpoints take the short way."""
        for service in ("s3", "dynamodb"):
            endpoint = ec2.CfnVPCEndpoint(
                self,
                f"{service.capitalize()}Endpoint",
                vpc_id=vpc.ref,
                vpc_endpoint_type="Gateway",
                service_name=f"com.amazonaws.{Aws.REGION}.{service}",
                route_table_ids=[routes.ref],
            )
            endpoint.cfn_options.condition = condition
