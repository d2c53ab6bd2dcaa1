"""Instance profiles: `iam:PassRole` is about the role that is in one."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of
from runctl.errors import NotFoundError

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient


def role_arn_of(client: "IAMClient", profile: str) -> str:
    """Name the role in an instance profile. Raises NotFoundError when there is no such profile, or no role in it."""
    with aws_errors():
        try:
            found = client.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]
        except ClientError as error:
            if code_of(error) != "NoSuchEntity":
                raise
            raise NotFoundError(
                f"There is no instance profile {profile}.", hint="See: aws iam list-instance-profiles"
            ) from error
    roles = [role["Arn"] for role in found["Roles"]]
    if not roles:
        raise NotFoundError(f"The instance profile {profile} has no role.", hint="Add a role to it first.")
    return roles[0]
