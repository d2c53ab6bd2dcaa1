"""A machine as DescribeInstances shows it."""

from datetime import datetime
from typing import Any

from runctl.local.machines.machine import Machine, State

Json = dict[str, Any]


def state_view(state: State) -> Json:
    """`InstanceState`."""
    return {"Code": int(state), "Name": state.aws_name}


def tag_list(tags: dict[str, str]) -> list[Json]:
    """Tags as EC2 lists them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def instance_view(machine: Machine, region: str) -> Json:
    """`Instance`. A terminated one has lost its network and its profile, as on AWS; volumes are not shown at all."""
    view: Json = {
        "AmiLaunchIndex": 0,
        "Architecture": machine.architecture,
        "ClientToken": machine.client_token,
        "EbsOptimized": False,
        "EnaSupport": True,
        "Hypervisor": "xen",
        "ImageId": machine.image_id,
        "InstanceId": machine.instance_id,
        "InstanceLifecycle": "spot" if machine.is_spot else None,
        "InstanceType": machine.instance_type,
        "KeyName": machine.key_name,
        "LaunchTime": datetime.fromisoformat(machine.launched_at),
        "MetadataOptions": {
            "State": "applied",
            "HttpTokens": "required" if machine.requires_token else "optional",
            "HttpEndpoint": "enabled",
            "HttpProtocolIpv6": "disabled",
            "InstanceMetadataTags": "enabled" if machine.shows_tags else "disabled",
        },
        "Monitoring": {"State": "disabled"},
        "Placement": {"AvailabilityZone": machine.zone, "GroupName": "", "Tenancy": "default"},
        "RootDeviceName": machine.root_device_name,
        "RootDeviceType": "ebs",
        "SpotInstanceRequestId": machine.spot_request_id,
        "State": state_view(machine.state),
        "StateTransitionReason": machine.transition_reason,
        "Tags": tag_list(machine.tags),
        "VirtualizationType": "hvm",
    }
    if machine.state_reason is not None:
        view["StateReason"] = {"Code": machine.state_reason.code, "Message": machine.state_reason.message}
    if machine.state is not State.TERMINATED:
        view |= _network(machine, region)
    return view


def _network(machine: Machine, region: str) -> Json:
    view: Json = {
        "PrivateDnsName": private_dns_name(machine, region),
        "PrivateIpAddress": machine.private_ip,
        "PublicIpAddress": machine.public_ip,
        "SecurityGroups": machine.security_groups,
        "SourceDestCheck": True,
        "SubnetId": machine.subnet_id,
        "VpcId": machine.vpc_id,
    }
    if machine.profile_arn is not None:
        view["IamInstanceProfile"] = {"Arn": machine.profile_arn, "Id": machine.profile_id}
    return view


def private_dns_name(machine: Machine, region: str) -> str:
    """Host name by address (EC2 User Guide, EC2 instance hostnames)."""
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return f"ip-{machine.private_ip.replace('.', '-')}.{domain}"
