"""What CreateFleet's errors mean together: one error of ours for a fleet that launched nothing."""

from collections.abc import Mapping, Sequence
from typing import Final

from runctl.errors import (
    AwsError,
    AwsUnavailable,
    CapacityUnavailable,
    CredentialsError,
    InvalidSpec,
    PermissionDenied,
    PoolUnsupported,
    QuotaExceeded,
    RunctlError,
    Throttled,
)
from runctl.model.aws_advice import advice_of
from runctl.model.aws_codes import AwsCodeKind, kind_of
from runctl.policy.sentences import refusal

_SHOWN: Final = 4
"""How many refusals stand in a message; all of them stand in the attempt and the timeline."""

_WRONG_FLEET: Final = "InvalidFleetConfiguration"
_NOT_IN_THIS_ZONE: Final = "is not supported in your requested Availability Zone"
"""CreateFleet says of a pool whose zone lacks the type what RunInstances calls `Unsupported` (EC2 User Guide,
"Troubleshoot instance launch issues"; seen with this code in karpenter-provider-aws, issues 404 and 6483)."""

_WEIGHT: Final = (
    AwsCodeKind.CREDENTIALS,
    AwsCodeKind.PERMISSION,
    AwsCodeKind.INVALID_SPEC,
    AwsCodeKind.CAPACITY,
    AwsCodeKind.THROTTLED,
    AwsCodeKind.QUOTA,
    AwsCodeKind.UNSUPPORTED,
)
"""What counts when pools were refused for different reasons. A missing permission is a missing permission in every
pool and is never taken for a lack of capacity; where one pool lacks capacity only, waiting may help whatever the
others say."""

_PASSES: Final = frozenset({AwsCodeKind.CAPACITY, AwsCodeKind.THROTTLED})
"""What is waited out: nobody has to do anything."""


def refusal_sentences(errors: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Write each refusal once, in order."""
    return tuple(dict.fromkeys(refusal(error) for error in errors))


def error_of_refusals(errors: Sequence[Mapping[str, str]]) -> RunctlError:
    """Make the error of a fleet that launched nothing."""
    told = refusal_sentences(errors)
    listed = "; ".join(told[:_SHOWN]) + (f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else "")
    kinds = {kind_of_refusal(error) for error in errors}
    decisive = next((kind for kind in _WEIGHT if kind in kinds), None)
    codes = [error.get("code", "") for error in errors if kind_of_refusal(error) is decisive]
    code = codes[0] if codes else ""
    message = f"EC2 launched no machine. {listed}." if listed else "EC2 launched no machine and gave no reason."
    if not errors:
        # An instant fleet that answers nothing at all: Step Functions should not take it for a success.
        return CapacityUnavailable(message, operation="CreateFleet")
    advice = advice_of(code)
    if advice is None:
        return _make(decisive, message, code)
    if decisive not in _PASSES:
        # Of an attempt's error the message alone is kept, and this one ends the run.
        message = f"{message} {advice.sentence} {advice.hint}"
    error = _make(decisive, message, code)
    error.aws_code, error.hint = code, advice.hint
    return error


def kind_of_refusal(error: Mapping[str, str]) -> AwsCodeKind | None:
    """Tell what one of CreateFleet's errors means."""
    code = error.get("code", "")
    if code == _WRONG_FLEET and _NOT_IN_THIS_ZONE in error.get("message", ""):
        return AwsCodeKind.UNSUPPORTED
    return kind_of(code)


def _make(kind: AwsCodeKind | None, message: str, code: str) -> RunctlError:
    match kind:
        case AwsCodeKind.CAPACITY:
            return CapacityUnavailable(message, aws_code=code, operation="CreateFleet")
        case AwsCodeKind.QUOTA:
            return QuotaExceeded(message, aws_code=code, operation="CreateFleet")
        case AwsCodeKind.PERMISSION:
            return PermissionDenied(message, aws_code=code, operation="CreateFleet")
        case AwsCodeKind.THROTTLED:
            return Throttled(message, aws_code=code, operation="CreateFleet")
        case AwsCodeKind.UNSUPPORTED:
            return PoolUnsupported(message, aws_code=code, operation="CreateFleet")
        case AwsCodeKind.INVALID_SPEC:
            return InvalidSpec(message)
        case AwsCodeKind.CREDENTIALS:
            return CredentialsError(message)
        case None:
            return AwsError(message, aws_code=code, operation="CreateFleet")


def is_definite(error: RunctlError) -> bool:
    """Whether a CreateFleet that raised has been answered, so that a next try needs a token of its own.

    Throttled calls and calls whose answer was lost are made again unchanged under the same token.
    """
    if isinstance(error, Throttled | AwsUnavailable):
        return False
    return not isinstance(error, AwsError) or bool(error.aws_code)
