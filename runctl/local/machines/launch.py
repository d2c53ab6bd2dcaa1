"""From a launch template and its overrides to a machine."""

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass
from typing import Any, cast

from runctl.local.machines.addresses import address_in
from runctl.local.machines.catalogue import SPOT, Catalogue, Image
from runctl.local.machines.clock import now
from runctl.local.machines.machine import SPOT_FULFILLED, Machine, new_id
from runctl.local.machines.rights import Rights
from runctl.local.machines.wire.errors import AwsError
from runctl.local.machines.wire.upstream import Upstream

Json = dict[str, Any]

_RESOLVE = "resolve:ssm:"
_METADATA_TAG = re.compile(r"(?!(?:\.|\.\.|_index)$)[0-9a-zA-Z\-_+=,.@:]{1,255}")
_USER_DATA_LIMIT = 16_384
"""Before it is encoded (EC2 User Guide, Run commands when you launch an EC2 instance with user data input)."""


@dataclass(frozen=True)
class Template:
    """A launch template's version, or with no id the like of one: what a launch without a template names itself."""

    template_id: str
    version: str
    data: Json

    @property
    def tags(self) -> dict[str, str]:
        """Tags with which EC2 says what an instance was launched from."""
        if not self.template_id:
            return {}
        return {"aws:ec2launchtemplate:id": self.template_id, "aws:ec2launchtemplate:version": self.version}

    @property
    def interface(self) -> Json:
        """Its first network interface; empty when it names none."""
        interfaces = cast("list[Json]", self.data.get("NetworkInterfaces") or [{}])
        return interfaces[0]


@dataclass(frozen=True)
class Pool:
    """One place where a machine could be launched."""

    template: Template
    override: Json
    instance_type: str
    subnet: Json
    option: str

    @property
    def zone(self) -> str:
        """The subnet's Availability Zone."""
        return cast("str", self.subnet["AvailabilityZone"])


class Launcher:
    """Resolves what a launch names (template, subnet, image, profile) and makes the machine's record."""

    def __init__(self, upstream: Upstream, catalogue: Catalogue, rights: Rights) -> None:
        self._upstream = upstream
        self._catalogue = catalogue
        self._rights = rights
        self._launched = 0

    async def template(self, specification: Json) -> Template:
        """Read a launch template's version from the emulator."""
        name = {key: specification[key] for key in ("LaunchTemplateId", "LaunchTemplateName") if key in specification}
        wanted = str(specification["Version"])
        try:
            answer = await self._upstream.call("ec2", "DescribeLaunchTemplateVersions", **name, Versions=[wanted])
        except AwsError as error:
            if error.code == "InvalidLaunchTemplateId.NotFoundException" and "LaunchTemplateId" in name:
                raise AwsError("InvalidLaunchTemplateId.NotFound", error.message) from error
            raise
        versions = answer["LaunchTemplateVersions"]
        if not versions or (wanted.isdigit() and versions[0]["VersionNumber"] != int(wanted)):
            raise AwsError(
                "InvalidLaunchTemplateId.VersionNotFound",
                f"Could not find launch template version {wanted} of {', '.join(name.values())}.",
            )
        version = versions[0]
        return Template(version["LaunchTemplateId"], str(version["VersionNumber"]), version["LaunchTemplateData"])

    async def subnets(self, template: Template, override: Json) -> list[Json]:
        """Subnets in which an override may launch: the one it names, or the template's, or the default ones."""
        zone = override.get("AvailabilityZone")
        named = override.get("SubnetId") or template.interface.get("SubnetId") or template.data.get("SubnetId")
        if named:
            answer = await self._upstream.call("ec2", "DescribeSubnets", SubnetIds=[named])
            found = [subnet for subnet in answer["Subnets"] if subnet["SubnetId"] == named]
            if not found:
                raise AwsError("InvalidSubnetID.NotFound", f"The subnet ID '{named}' does not exist")
            return found
        answer = await self._upstream.call("ec2", "DescribeSubnets")
        found = [
            subnet
            for subnet in answer["Subnets"]
            if subnet.get("DefaultForAz") and zone in (None, subnet["AvailabilityZone"])
        ]
        if not found:
            raise AwsError(
                "MissingInput",
                f"No subnets found for the default VPC in {zone or 'this Region'}. Please specify a subnet.",
            )
        return sorted(found, key=lambda subnet: cast("str", subnet["AvailabilityZone"]))

    async def image(self, pool: Pool) -> Image:
        """The pool's image; raises `AwsError` when there is none, or when it does not fit the instance type."""
        image_id = pool.override.get("ImageId") or pool.template.data.get("ImageId")
        if not image_id:
            raise AwsError("MissingParameter", "The request must contain the parameter ImageId")
        if image_id.startswith(_RESOLVE):
            image_id = await self._resolve(image_id.removeprefix(_RESOLVE))
        image = self._catalogue.images.get(image_id) or await self._registered_image(image_id)
        architecture = self._catalogue.types[pool.instance_type].architecture
        if image.architecture != architecture:
            raise AwsError(
                "InvalidParameterValue",
                f"The architecture '{architecture}' of the specified instance type does not match the architecture "
                f"'{image.architecture}' of the specified AMI.",
            )
        return image

    async def _resolve(self, parameter: str) -> str:
        known = self._catalogue.public_parameters.get(parameter)
        if known is not None:
            return known
        answer = await self._upstream.call("ssm", "GetParameter", Name=parameter)
        return cast("str", answer["Parameter"]["Value"])

    async def _registered_image(self, image_id: str) -> Image:
        try:
            answer = await self._upstream.call("ec2", "DescribeImages", ImageIds=[image_id])
        except AwsError as error:
            if error.code.startswith("InvalidAMIID"):
                raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist") from error
            raise
        for row in answer["Images"]:
            if row["ImageId"] == image_id:
                device = row.get("RootDeviceName", "/dev/xvda")
                return Image(image_id, row.get("Name", ""), row.get("Architecture", "x86_64"), device, ())
        raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")

    async def machine(
        self, pool: Pool, *, tags: dict[str, str], tagged: frozenset[str], client_token: str, reservation_id: str
    ) -> Machine:
        """Make the record of a new machine in a pool; nothing runs yet. Refuses what the caller may not launch.

        `tagged` are the types of resource that the request gives tags to.
        """
        image = await self.image(pool)
        data = pool.template.data
        all_tags = {**_template_tags(data), **tags}
        options = data.get("MetadataOptions", {})
        interface = pool.template.interface
        profile = await self._profile(pool.override.get("IamInstanceProfile") or data.get("IamInstanceProfile"))
        moment = now()
        self._launched += 1
        machine = Machine(
            instance_id=new_id("i"),
            reservation_id=reservation_id,
            client_token=client_token,
            instance_type=pool.instance_type,
            architecture=image.architecture,
            image_id=image.image_id,
            zone=pool.zone,
            zone_id=pool.subnet.get("AvailabilityZoneId", ""),
            subnet_id=pool.subnet["SubnetId"],
            vpc_id=pool.subnet["VpcId"],
            private_ip=address_in(ipaddress.ip_network(pool.subnet["CidrBlock"]), self._launched),
            is_public=interface.get("AssociatePublicIpAddress", pool.subnet.get("MapPublicIpOnLaunch", False)),
            security_groups=await self._security_groups(pool, interface),
            lifecycle=pool.option,
            launched_at=moment.isoformat(),
            tags={**all_tags, **pool.template.tags},
            user_data=_checked_user_data(data.get("UserData", "")),
            key_name=data.get("KeyName"),
            shows_tags=options.get("InstanceMetadataTags") == "enabled",
            # Amazon Linux 2023's images ask for it themselves (EC2 User Guide, Configure IMDS options).
            requires_token=options.get("HttpTokens", "required") == "required",
            terminates_on_shutdown=data.get("InstanceInitiatedShutdownBehavior") == "terminate",
            root_device_name=image.root_device_name,
            **profile,
        )
        own_tags = {key: value for key, value in all_tags.items() if not key.startswith("aws:")}
        template_id = pool.template.template_id
        self._rights.check_launch(machine, template_id, own_tags, tagged | _tagged_by_template(data))
        if machine.shows_tags:
            _check_metadata_tags(all_tags)
        if pool.option == SPOT:
            machine.spot_request_id = new_id("sir")[:12]
            machine.spot_max_price = pool.override.get("MaxPrice")
            machine.set_spot_status(SPOT_FULFILLED, "Your Spot request is fulfilled.", moment)
        return machine

    async def _profile(self, named: Json | None) -> Json:
        if not named:
            return {}
        name = named.get("Name") or named["Arn"].rsplit("/", 1)[-1]
        try:
            profile = (await self._upstream.call("iam", "GetInstanceProfile", InstanceProfileName=name))[
                "InstanceProfile"
            ]
        except AwsError as error:
            if error.code != "NoSuchEntity":
                raise
            raise AwsError(
                "InvalidParameterValue",
                f"Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
            ) from error
        found: Json = {"profile_arn": profile["Arn"], "profile_id": profile["InstanceProfileId"]}
        for role in profile.get("Roles", []):
            found |= {"role_name": role["RoleName"], "role_arn": role["Arn"]}
        return found

    async def _security_groups(self, pool: Pool, interface: Json) -> list[dict[str, str]]:
        wanted: list[str] = interface.get("Groups") or pool.template.data.get("SecurityGroupIds") or []
        answer = await self._upstream.call("ec2", "DescribeSecurityGroups")
        groups = {group["GroupId"]: group for group in answer["SecurityGroups"]}
        if not wanted:
            wanted = [
                group_id
                for group_id, group in groups.items()
                if group["GroupName"] == "default" and group.get("VpcId") == pool.subnet["VpcId"]
            ]
        unknown = [group_id for group_id in wanted if group_id not in groups]
        if unknown:
            raise AwsError("InvalidGroup.NotFound", f"The security group '{unknown[0]}' does not exist")
        return [{"GroupId": group_id, "GroupName": groups[group_id]["GroupName"]} for group_id in wanted]


def _checked_user_data(encoded: str) -> str:
    """User data as it came; raises `AwsError` where it is no base64, or larger than EC2 takes."""
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except binascii.Error:
        raise AwsError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from None
    if size > _USER_DATA_LIMIT:
        raise AwsError("InvalidParameterValue", f"User data is limited to {_USER_DATA_LIMIT} bytes")
    return encoded


def _check_metadata_tags(tags: dict[str, str]) -> None:
    """Refuse tags that the metadata service cannot show (EC2 User Guide, View tags using instance metadata)."""
    for key in tags:
        if not _METADATA_TAG.fullmatch(key):
            raise AwsError(
                "InvalidParameterValue",
                f"'{key}' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{{1,255}}), "
                "and must not be a reserved name ('.', '..', '_index')",
            )


def _tagged_by_template(data: Json) -> frozenset[str]:
    return frozenset(specification["ResourceType"] for specification in data.get("TagSpecifications", ()))


def _template_tags(data: Json) -> dict[str, str]:
    return {
        tag["Key"]: tag.get("Value", "")
        for specification in data.get("TagSpecifications", [])
        if specification.get("ResourceType") == "instance"
        for tag in specification.get("Tags", [])
    }
