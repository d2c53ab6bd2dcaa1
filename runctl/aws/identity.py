"""Who is calling: STS knows account, partition and principal of any credentials, without any permission."""

from typing import TYPE_CHECKING

from runctl.aws.errors import aws_errors
from runctl.model.base import Model

if TYPE_CHECKING:
    from types_boto3_sts import STSClient


class Identity(Model):
    """The account that credentials belong to."""

    account: str
    arn: str

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn` or `aws-us-gov`."""
        return self.arn.split(":")[1]


def who_am_i(client: "STSClient") -> Identity:
    """Ask STS. Raises CredentialsError when AWS does not know the credentials."""
    with aws_errors():
        found = client.get_caller_identity()
    return Identity(account=found["Account"], arn=found["Arn"])
