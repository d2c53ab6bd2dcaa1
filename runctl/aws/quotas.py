"""EC2's quotas of vCPUs: which one holds for an instance type, and how large it is.

Codes: Amazon EC2 User Guide, "On-Demand Instance quotas" and "Spot Instance quotas", whose tables link to them.
"""

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of
from runctl.errors import InvalidSpec
from runctl.model.run import PurchaseOption

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client

CONCURRENCY_CODE: Final = "L-B99A9384"
"""Lambda's "Concurrent executions" (AWS Lambda Developer Guide, "Lambda quotas")."""


class Quota(NamedTuple):
    """A quota as Service Quotas lists it."""

    code: str
    name: str


_STANDARD: Final = frozenset("acdhimrtz")
"""First letters of what counts as standard, where no longer name does."""

_ON_DEMAND: Final = {
    "standard": Quota("L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"),
    "dl": Quota("L-6E869C2A", "Running On-Demand DL instances"),
    "f": Quota("L-74FC7D96", "Running On-Demand F instances"),
    "g": Quota("L-DB2E81BA", "Running On-Demand G and VT instances"),
    "inf": Quota("L-1945791B", "Running On-Demand Inf instances"),
    "p": Quota("L-417A185B", "Running On-Demand P instances"),
    "trn": Quota("L-2C3B7624", "Running On-Demand Trn instances"),
    "x": Quota("L-7295265B", "Running On-Demand X instances"),
}

_SPOT: Final = {
    "standard": Quota("L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests"),
    "dl": Quota("L-85EED4F7", "All DL Spot Instance Requests"),
    "f": Quota("L-88CF9481", "All F Spot Instance Requests"),
    "g": Quota("L-3819A6DF", "All G and VT Spot Instance Requests"),
    "inf": Quota("L-B5D1601B", "All Inf Spot Instance Requests"),
    "p2": Quota("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests"),
    "p3": Quota("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests"),
    "p4": Quota("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests"),
    "p5": Quota("L-C4BD4855", "All P5 Spot Instance Requests"),
    "trn": Quota("L-6B0D517C", "All Trn Spot Instance Requests"),
    "x": Quota("L-E3A00192", "All X Spot Instance Requests"),
}

_TYPE: Final = re.compile(r"([a-z]+)(\d+)")


def quota_of(instance_type: str, option: PurchaseOption) -> Quota | None:
    """Name the quota that a machine of this type counts towards; None when it is not known."""
    match = _TYPE.match(instance_type)
    if match is None:
        return None
    family, generation = match[1], match[2]
    if family in {"g", "gr", "vt"}:
        family = "g"
    if family in {"u"}:
        return None
    quotas = _SPOT if option is PurchaseOption.SPOT else _ON_DEMAND
    for name in (family, f"{family}{generation}"):
        if name in quotas:
            return quotas[name]
    if family in {"p", "dl", "f", "inf", "trn", "hpc", "mac"}:
        return None
    return quotas["standard"] if family[0] in _STANDARD else None


class Quotas:
    """Service Quotas, and what EC2 says of a type's size."""

    def __init__(self, client: Any, ec2: "EC2Client") -> None:
        # There are no typings of Service Quotas among the locked ones.
        self._client = client
        self._ec2 = ec2

    def vcpus(self, instance_type: str) -> int:
        """Answer how many vCPUs a type has. Raises InvalidSpec for one that EC2 does not know."""
        request: dict[str, Any] = {"InstanceTypes": [instance_type]}
        with aws_errors():
            found = self._ec2.describe_instance_types(**request)["InstanceTypes"]
        if not found:
            raise InvalidSpec(f"EC2 knows no instance type {instance_type} in this Region.")
        return found[0].get("VCpuInfo", {}).get("DefaultVCpus", 0)

    def value(self, quota: Quota) -> float:
        """Read the account's value, or AWS's default where the account never had another."""
        with aws_errors():
            try:
                found = self._client.get_service_quota(ServiceCode="ec2", QuotaCode=quota.code)
            except ClientError as error:
                if code_of(error) != "NoSuchResourceException":
                    raise
                found = self._client.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode=quota.code)
        return float(found["Quota"]["Value"])
