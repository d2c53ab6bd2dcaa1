"""Instance profiles: `iam:PassRole` is about the role that is in one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of
from runctl.errors import NotFoundError

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient


@dataclass(frozen=True)
class ProfileRole:
    """The role in an instance profile."""

    profile: str
    name: str
    arn: str
    role_id: str


def role_in(client: "IAMClient", profile: str) -> ProfileRole:
    """Find the role in an instance profile. Raises NotFoundError when there is no such profile, or no role in it."""
    roles = _roles_in(client, profile)
    if roles is None:
        raise NotFoundError(f"There is no instance profile {profile}.", hint="See: aws iam list-instance-profiles")
    if not roles:
        raise NotFoundError(f"The instance profile {profile} has no role.", hint="Add a role to it first.")
    return roles[0]


def is_taken(client: "IAMClient", profile: str) -> bool:
    """Whether the account has an instance profile of this name already, in whatever Region it is used."""
    return _roles_in(client, profile) is not None


def _roles_in(client: "IAMClient", profile: str) -> list[ProfileRole] | None:
    with aws_errors():
        try:
            found = client.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]
        except ClientError as error:
            if code_of(error) != "NoSuchEntity":
                raise
            return None
    return [ProfileRole(profile, role["RoleName"], role["Arn"], role["RoleId"]) for role in found["Roles"]]
