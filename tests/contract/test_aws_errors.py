"""From AWS's error codes to our errors."""

from collections.abc import Callable

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    LoginRefreshRequired,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    ProfileNotFound,
    ReadTimeoutError,
    UnauthorizedSSOTokenError,
)

from runctl import errors
from runctl.aws.errors import CLASS_OF_KIND, aws_errors, error_of
from runctl.aws.machines import Ec2Machines
from runctl.model.aws_codes import AwsCodeKind
from runctl.policy.refusals import is_definite
from tests.contract.stubs import aws_says, stubbed

CLASS_OF_CODE = [
    ("InsufficientInstanceCapacity", errors.CapacityUnavailable),
    ("UnfulfillableCapacity", errors.CapacityUnavailable),
    ("InsufficientCapacity", errors.CapacityUnavailable),
    ("InsufficientCapacityOnHost", errors.CapacityUnavailable),
    ("InsufficientFreeAddressesInSubnet", errors.CapacityUnavailable),
    ("SpotMaxPriceTooLow", errors.CapacityUnavailable),
    ("MaxSpotInstanceCountExceeded", errors.QuotaExceeded),
    ("VcpuLimitExceeded", errors.QuotaExceeded),
    ("InstanceLimitExceeded", errors.QuotaExceeded),
    ("Unsupported", errors.PoolUnsupported),
    ("UnauthorizedOperation", errors.PermissionDenied),
    ("AuthFailure", errors.PermissionDenied),
    ("AccessDeniedException", errors.PermissionDenied),
    ("Client.InternalError", errors.PermissionDenied),
    ("PendingVerification", errors.PermissionDenied),
    ("OptInRequired", errors.PermissionDenied),
    ("Blocked", errors.PermissionDenied),
    ("RequestLimitExceeded", errors.Throttled),
    ("ThrottlingException", errors.Throttled),
    ("InvalidAMIID.NotFound", errors.InvalidSpec),
    ("InvalidAMIID.Malformed", errors.InvalidSpec),
    ("InvalidParameterValue", errors.InvalidSpec),
    ("InvalidLaunchTemplateId.NotFound", errors.InvalidSpec),
    ("ExpiredToken", errors.CredentialsError),
    ("IdempotentParameterMismatch", errors.AwsError),
    ("SomethingThatAwsInventsTomorrow", errors.AwsError),
]


@pytest.mark.parametrize(("code", "expected"), CLASS_OF_CODE)
def test_a_code_of_create_fleet_becomes_our_error(code: str, expected: type[errors.RunctlError]) -> None:
    with (
        stubbed("ec2", lambda client: Ec2Machines(client, ssm=client)) as (machines, stubber),
        pytest.raises(errors.RunctlError) as raised,
    ):
        stubber.add_client_error("create_fleet", service_error_code=code, service_message="as AWS puts it")
        machines.create_fleet({"LaunchTemplateConfigs": [], "TargetCapacitySpecification": {"TotalTargetCapacity": 1}})

    assert type(raised.value) is expected
    assert code in raised.value.message
    assert "CreateFleet" in raised.value.message


def test_an_aws_error_keeps_the_code_and_the_operation() -> None:
    error = error_of(aws_says("SomethingThatAwsInventsTomorrow"))

    assert isinstance(error, errors.AwsError)
    assert (error.aws_code, error.operation) == ("SomethingThatAwsInventsTomorrow", "CreateFleet")
    assert not error.retryable


@pytest.mark.parametrize("kind", AwsCodeKind)
def test_every_kind_of_code_has_the_class_that_it_names(kind: AwsCodeKind) -> None:
    assert CLASS_OF_KIND[kind].__name__ == kind.value


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (NoCredentialsError, errors.CredentialsError),
        (NoRegionError, errors.ConfigurationError),
        (lambda: ProfileNotFound(profile="nobody"), errors.ConfigurationError),
        (lambda: CredentialRetrievalError(provider="sso", error_msg="expired"), errors.CredentialsError),
        (UnauthorizedSSOTokenError, errors.CredentialsError),
        (LoginRefreshRequired, errors.CredentialsError),
        (lambda: EndpointConnectionError(endpoint_url="https://ec2"), errors.AwsUnavailable),
        (lambda: ConnectTimeoutError(endpoint_url="https://ec2"), errors.AwsUnavailable),
        (lambda: ReadTimeoutError(endpoint_url="https://ec2"), errors.AwsUnavailable),
        (lambda: ParamValidationError(report="no such argument"), errors.AwsError),
    ],
)
def test_what_botocore_raises_by_itself_becomes_our_error(
    make: Callable[[], BotoCoreError], expected: type[errors.RunctlError]
) -> None:
    with pytest.raises(errors.RunctlError) as raised, aws_errors():
        raise make()

    assert type(raised.value) is expected


def test_an_answer_that_was_lost_is_no_answer() -> None:
    with pytest.raises(errors.AwsUnavailable) as raised, aws_errors():
        raise ReadTimeoutError(endpoint_url="https://ec2")

    assert raised.value.aws_code == ""
    assert not is_definite(raised.value)
    assert raised.value.retryable


def test_an_error_that_is_not_of_aws_passes_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), aws_errors():
        raise ZeroDivisionError
