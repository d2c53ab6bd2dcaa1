"""What CreateFleet's errors mean, alone and together, and the table of AWS's codes behind it."""

import pytest

from runctl import errors
from runctl.errors import (
    AwsError,
    AwsUnavailable,
    CapacityUnavailable,
    InvalidSpec,
    PermissionDenied,
    RunctlError,
    Throttled,
)
from runctl.model.aws_codes import AwsCodeKind, kind_of
from runctl.policy.refusals import error_of_refusals, is_definite, refusal_sentences


def refused(code: str, zone: str = "us-east-1a") -> dict[str, str]:
    """One of CreateFleet's errors."""
    return {
        "code": code,
        "message": "as EC2 said it",
        "instance_type": "g5.xlarge",
        "subnet_id": "subnet-a",
        "availability_zone": zone,
        "lifecycle": "spot",
    }


@pytest.mark.parametrize(
    ("codes", "name"),
    [
        (["InsufficientInstanceCapacity"], "CapacityUnavailable"),
        (["UnfulfillableCapacity"], "CapacityUnavailable"),
        (["InsufficientFreeAddressesInSubnet"], "CapacityUnavailable"),
        (["SpotMaxPriceTooLow"], "CapacityUnavailable"),
        (["MaxSpotInstanceCountExceeded"], "QuotaExceeded"),
        (["VcpuLimitExceeded"], "QuotaExceeded"),
        (["UnauthorizedOperation"], "PermissionDenied"),
        (["AuthFailure"], "PermissionDenied"),
        (["AuthFailure.ServiceLinkedRoleCreationNotPermitted"], "PermissionDenied"),
        (["OptInRequired"], "PermissionDenied"),
        (["Unsupported"], "PoolUnsupported"),
        (["RequestLimitExceeded"], "Throttled"),
        (["InvalidAMIID.NotFound"], "InvalidSpec"),
        (["InvalidLaunchTemplateId.Malformed"], "InvalidSpec"),
        (["InvalidParameterValue"], "InvalidSpec"),
        (["NeverHeardOf"], "AwsError"),
        # Together: a missing permission is never taken for a lack of capacity; where waiting may help it is waited.
        (["InsufficientInstanceCapacity", "UnauthorizedOperation"], "PermissionDenied"),
        (["MaxSpotInstanceCountExceeded", "InsufficientInstanceCapacity"], "CapacityUnavailable"),
        (["Unsupported", "InsufficientInstanceCapacity"], "CapacityUnavailable"),
        (["Unsupported", "MaxSpotInstanceCountExceeded"], "QuotaExceeded"),
        (["NeverHeardOf", "InsufficientInstanceCapacity"], "CapacityUnavailable"),
        (["InsufficientInstanceCapacity", "InvalidAMIID.NotFound"], "InvalidSpec"),
        ([], "CapacityUnavailable"),
    ],
)
def test_refusals_become_one_error(codes: list[str], name: str) -> None:
    error = error_of_refusals([refused(code) for code in codes])

    assert type(error).__name__ == name


ZONE_HAS_NO_SUCH_TYPE = (
    "Your requested instance type (g5.xlarge) is not supported in your requested Availability Zone (us-east-1e)."
)


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ("InsufficientInstanceCapacity", "CapacityUnavailable"),
        ("MaxSpotInstanceCountExceeded", "QuotaExceeded"),
        ("InvalidFleetConfiguration", "PoolUnsupported"),
    ],
)
def test_a_zone_without_the_type_is_no_mistake_of_the_spec(other: str, name: str) -> None:
    """CreateFleet says so under the code of a wrong request."""
    of_zone = refused("InvalidFleetConfiguration", "us-east-1e") | {"message": ZONE_HAS_NO_SUCH_TYPE}

    error = error_of_refusals([of_zone, refused(other) | {"message": ZONE_HAS_NO_SUCH_TYPE}])

    assert type(error).__name__ == name


def test_any_other_wrong_fleet_is_a_mistake() -> None:
    error = error_of_refusals([refused("InvalidFleetConfiguration"), refused("InsufficientInstanceCapacity")])

    assert isinstance(error, InvalidSpec)


def test_the_error_carries_awss_own_code() -> None:
    error = error_of_refusals([refused("Unsupported"), refused("InsufficientInstanceCapacity")])

    assert isinstance(error, CapacityUnavailable)
    assert error.aws_code == "InsufficientInstanceCapacity"


def test_the_message_names_the_pools_and_what_aws_said() -> None:
    error = error_of_refusals([refused("InsufficientInstanceCapacity", zone) for zone in ("us-east-1a", "us-east-1b")])

    assert error.message == (
        "EC2 launched no machine. "
        "spot g5.xlarge in us-east-1a: InsufficientInstanceCapacity (as EC2 said it); "
        "spot g5.xlarge in us-east-1b: InsufficientInstanceCapacity (as EC2 said it)."
    )


def test_many_refusals_are_counted_and_repeated_ones_told_once() -> None:
    many = [refused("InsufficientInstanceCapacity", f"zone-{n}") for n in range(7)]

    assert error_of_refusals(many).message.endswith("; and 3 more.")
    assert len(refusal_sentences([*many, *many])) == 7


@pytest.mark.parametrize(
    ("error", "definite"),
    [
        (CapacityUnavailable("none", aws_code="InsufficientInstanceCapacity"), True),
        (PermissionDenied("no", aws_code="UnauthorizedOperation"), True),
        (InvalidSpec("no"), True),
        (AwsError("our token", aws_code="IdempotentParameterMismatch"), True),
        (AwsError("of no code"), False),
        (AwsUnavailable("the connection broke"), False),
        (AwsUnavailable("a fault of AWS", aws_code="InternalError"), False),
        (Throttled("slow down", aws_code="RequestLimitExceeded"), False),
    ],
)
def test_only_a_call_without_an_answer_is_made_again_under_its_token(error: RunctlError, definite: bool) -> None:
    assert is_definite(error) is definite


@pytest.mark.parametrize("kind", list(AwsCodeKind))
def test_every_kind_of_code_is_named_after_a_class_of_errors(kind: AwsCodeKind) -> None:
    assert issubclass(getattr(errors, kind.value), RunctlError)


def test_a_code_that_is_not_in_the_table_means_nothing() -> None:
    assert kind_of("SomethingNew") is None
    assert kind_of("") is None
