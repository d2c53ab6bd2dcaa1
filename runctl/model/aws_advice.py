"""What an error code of AWS means to whoever launched a machine, and what to do: a sentence, a hint, a page of AWS's.

For the codes that people meet. What a code is to the controller stands in `runctl.model.aws_codes`; docs/errors.md has
a section for each code here, which a test compares. Sources: EC2 API Reference, "Error codes for the Amazon EC2 API";
EC2 User Guide, "Troubleshoot Amazon EC2 instance launch issues", "Spot Instance quotas", "Service-linked role for Spot
Instance requests".
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_GUIDE: Final = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide"
_CODES: Final = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html"
_LAUNCH: Final = f"{_GUIDE}/troubleshooting-launch.html"


@dataclass(frozen=True)
class Advice:
    """What a code means, what to do, and where AWS explains it."""

    sentence: str
    hint: str
    page: str


_NO_CAPACITY: Final = Advice(
    "AWS has no machine of this type to give in that Availability Zone now; no quota and no setting is the reason.",
    "Name more instance types with --instance-type, or wait longer with --capacity-timeout.",
    _LAUNCH,
)
_ON_DEMAND_QUOTA: Final = Advice(
    "Your account's quota of on-demand vCPUs for this family of types is full, or none was ever given.",
    "Ask for more in Service Quotas (Amazon EC2, Running On-Demand instances), or choose another family.",
    f"{_GUIDE}/ec2-resource-limits.html",
)
_SPOT_QUOTA: Final = Advice(
    "Your account's quota of spot vCPUs for this family of types is full, or none was ever given; other Availability "
    "Zones do not help.",
    "Wait for your own runs to end, ask for more in Service Quotas (Amazon EC2, All Spot Instance Requests), choose "
    "another family, or launch on demand.",
    f"{_GUIDE}/using-spot-limits.html",
)
_OTHER_QUOTA: Final = Advice(
    "A quota of your account is full that is not one of vCPUs: the message says which.",
    "End what you do not need (runctl resources list), or ask for more in Service Quotas.",
    f"{_GUIDE}/ec2-resource-limits.html",
)
_MISSING_RIGHT: Final = Advice(
    "The role or user lacks a right: for a launch mostly iam:PassRole, or the service-linked role for spot requests.",
    "Let an administrator decode the message (aws sts decode-authorization-message) and allow the action in it.",
    f"{_GUIDE}/service-linked-roles-spot-instance-requests.html",
)
_KEY: Final = Advice(
    "The machine's disk is encrypted with a key of KMS that EC2 may not use for it.",
    "Let an administrator grant the key to the service-linked role of EC2 Fleet or Spot, or use the default key.",
    f"{_GUIDE}/service-linked-roles-spot-instance-requests.html",
)
_TOO_FAST: Final = Advice(
    "AWS limits how often this is called; it is called again by itself, later each time.",
    "Nothing needs to be done.",
    "https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html",
)
_BAD_FIELD: Final = Advice(
    "AWS does not accept a value: the message names the field.",
    "Correct it in the run's settings, or in the deployment's when the run does not name it, and start the run again.",
    _CODES,
)
_ACCOUNT: Final = Advice(
    "The account itself may not do this yet or any more: a person has to act, and waiting alone does not help.",
    "Open the AWS console, finish the registration or the verification there, or write to AWS Support.",
    _CODES,
)

_EXACT: Final = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "InsufficientInstanceCapacity",
                "InsufficientCapacity",
                "InsufficientCapacityOnHost",
                "UnfulfillableCapacity",
            ),
            _NO_CAPACITY,
        ),
        "SpotMaxPriceTooLow": Advice(
            "The price of the spot machine stands above the highest that was offered, which is the on-demand price.",
            "Name more instance types, or launch on demand: leave --spot out, or add --fallback.",
            f"{_GUIDE}/spot-request-status.html",
        ),
        "MaxSpotInstanceCountExceeded": _SPOT_QUOTA,
        "MaxSpotFleetRequestCountExceeded": _SPOT_QUOTA,
        "VcpuLimitExceeded": _ON_DEMAND_QUOTA,
        "InstanceLimitExceeded": _ON_DEMAND_QUOTA,
        "ResourceLimitExceeded": _OTHER_QUOTA,
        "TargetCapacityLimitExceededException": _OTHER_QUOTA,
        "Unsupported": Advice(
            "The type is not offered in that Availability Zone, or not in this combination.",
            "Name another instance type, or none of the zone's own; pools that refuse so are left out for a while.",
            _LAUNCH,
        ),
        "InsufficientFreeAddressesInSubnet": Advice(
            "The subnet has no private address left; the machine is looked for in the others.",
            "Let an administrator free addresses or deploy with more subnets (runctl deploy --subnets).",
            _CODES,
        ),
        "UnauthorizedOperation": _MISSING_RIGHT,
        "AuthFailure": _MISSING_RIGHT,
        "Client.InternalError": _KEY,
        "IdempotentParameterMismatch": Advice(
            "A launch was repeated under its token with another request: a fault of runctl, and nothing was launched.",
            "Start the run again, and report it with the output of runctl events RUN.",
            "https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html",
        ),
        "RequestLimitExceeded": _TOO_FAST,
        "InvalidParameterValue": _BAD_FIELD,
        "PendingVerification": _ACCOUNT,
        "OptInRequired": _ACCOUNT,
        "Blocked": _ACCOUNT,
    }
)
_FAMILIES: Final = MappingProxyType(
    {
        "InvalidAMIID": Advice(
            "The machine image is not there, or not for this account, Region or architecture.",
            "Leave the image out, so that AWS's newest is taken, or name one of this Region.",
            _CODES,
        ),
        "InvalidLaunchTemplate": Advice(
            "The launch template of the deployment is not there, or not as it was deployed.",
            "Deploy again: runctl deploy.",
            _CODES,
        ),
    }
)
"""Codes of which EC2 has many, by what they begin with."""

ADVISED: Final = (*_EXACT, *_FAMILIES)
"""Codes, and beginnings of codes, that there is advice on."""


def topic_of(code: str) -> str:
    """Name the entry of `ADVISED` that a code belongs to; empty for one that there is no advice on."""
    if code in _EXACT:
        return code
    return next((family for family in _FAMILIES if code.startswith(family)), "")


def advice_of(code: str) -> Advice | None:
    """Tell what a code means and what to do; None for one that there is no advice on."""
    topic = topic_of(code)
    return _EXACT.get(topic) or _FAMILIES.get(topic)
