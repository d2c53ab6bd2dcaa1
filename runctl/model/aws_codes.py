"""What AWS's error codes mean to a run: one table, for codes that are raised and for those inside CreateFleet's answer.

Sources: EC2 API Reference, "Error codes for the Amazon EC2 API"; EC2 User Guide, "Troubleshoot instance launch issues";
Step Functions, SSM and IAM API References, "Common errors". A code that is not here stays an error, and is loud.
"""

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class AwsCodeKind(StrEnum):
    """What a code means. The value is the name of the class in `runctl.errors` that stands for it; a test compares."""

    CAPACITY = "CapacityUnavailable"
    QUOTA = "QuotaExceeded"
    PERMISSION = "PermissionDenied"
    THROTTLED = "Throttled"
    UNSUPPORTED = "PoolUnsupported"
    INVALID_SPEC = "InvalidSpec"
    CREDENTIALS = "CredentialsError"


_CAPACITY = (
    "InsufficientInstanceCapacity",
    "InsufficientCapacity",
    "InsufficientCapacityOnHost",
    "InsufficientHostCapacity",
    "UnfulfillableCapacity",
    "InsufficientFreeAddressesInSubnet",  # this subnet is full; another may not be
    "SpotMaxPriceTooLow",  # we give no price of our own, so the market stands above on-demand: it passes
    "Server.InsufficientInstanceCapacity",  # as a state reason: the machine died while it was pending
)
_QUOTA = (
    "MaxSpotInstanceCountExceeded",
    "MaxSpotFleetRequestCountExceeded",
    "VcpuLimitExceeded",
    "InstanceLimitExceeded",
    "ResourceLimitExceeded",
    "TargetCapacityLimitExceededException",
    "VolumeLimitExceeded",
    "Client.VolumeLimitExceeded",
    "AddressLimitExceeded",
    "NetworkInterfaceLimitExceeded",
)
_PERMISSION = (
    "UnauthorizedOperation",
    "AuthFailure",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "NotAuthorized",
    "KMSAccessDeniedException",
    "KmsAccessDeniedException",
    "403",  # S3's answer to HEAD has no body, so botocore puts the HTTP status in the code's place
    "Client.UnauthorizedOperation",
    # At launch nearly always an EBS key of KMS without a grant for the service-linked role of EC2 Fleet or Spot.
    "Client.InternalError",
    "Client.InvalidKMSKey.InvalidState",
    "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
    # The account itself: a person has to act, and waiting does not help.
    "OptInRequired",
    "PendingVerification",
    "Blocked",
    "AccountDisabled",
)
_THROTTLED = (
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "SlowDown",
    "503",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
    "InternalError",
    "InternalServerError",
    "InternalFailure",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Unavailable",
    "Server.InternalError",
)
_UNSUPPORTED = ("Unsupported", "UnsupportedOperation", "InvalidInstanceTypeForZone")
_INVALID_SPEC = (
    "InvalidParameter",
    "InvalidParameterValue",
    "InvalidParameterCombination",
    "InvalidInstanceType",
    "InvalidFleetConfig",
    "InvalidFleetConfiguration",
    "InvalidKeyPair.NotFound",
    "InvalidBlockDeviceMapping",
    "MissingParameter",
    "ValidationError",
)
_CREDENTIALS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "RequestExpired",
    "MissingAuthenticationToken",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "MissingAuthenticationTokenException",
    "RequestTimeTooSkewed",  # the clock here is wrong by minutes
)

KIND_OF_CODE: Final = MappingProxyType(
    {
        **dict.fromkeys(_CAPACITY, AwsCodeKind.CAPACITY),
        **dict.fromkeys(_QUOTA, AwsCodeKind.QUOTA),
        **dict.fromkeys(_PERMISSION, AwsCodeKind.PERMISSION),
        **dict.fromkeys(_THROTTLED, AwsCodeKind.THROTTLED),
        **dict.fromkeys(_UNSUPPORTED, AwsCodeKind.UNSUPPORTED),
        **dict.fromkeys(_INVALID_SPEC, AwsCodeKind.INVALID_SPEC),
        **dict.fromkeys(_CREDENTIALS, AwsCodeKind.CREDENTIALS),
    }
)
"""Exact codes."""

_FAMILIES: Final = (
    ("InvalidAMIID.", AwsCodeKind.INVALID_SPEC),
    ("InvalidLaunchTemplate", AwsCodeKind.INVALID_SPEC),
    ("InvalidSubnetID.", AwsCodeKind.INVALID_SPEC),
    ("InvalidSubnet.", AwsCodeKind.INVALID_SPEC),
    ("InvalidGroup.", AwsCodeKind.INVALID_SPEC),
    ("InvalidIamInstanceProfile", AwsCodeKind.INVALID_SPEC),
)
"""Codes of which EC2 has a family, by what they begin with."""


def kind_of(code: str) -> AwsCodeKind | None:
    """Tell what an error code of AWS means; None for one that the table does not know."""
    exact = KIND_OF_CODE.get(code)
    if exact is not None:
        return exact
    return next((kind for prefix, kind in _FAMILIES if code.startswith(prefix)), None)
