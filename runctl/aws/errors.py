"""From what AWS answers to our errors: one table, and the boundary that every gateway passes.

Codes: "Error codes for the Amazon EC2 API", "Common Errors" of the services' API references, and the errors of the
operations that we call. A code that the table lacks stays an `AwsError` that carries the code and the operation:
loud, and never a lack of capacity. A refused permission is `PermissionDenied` whatever was asked for.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from runctl.errors import (
    AwsError,
    AwsUnavailable,
    ConfigurationError,
    CredentialsError,
    PermissionDenied,
    RunctlError,
    Throttled,
)

_PERMISSION = (
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "AuthorizationError",
    "AuthorizationErrorException",
    "Client.UnauthorizedOperation",
    "KMSAccessDeniedException",
    "KmsAccessDeniedException",
    "NotAuthorized",
    "UnauthorizedOperation",
)
_CREDENTIALS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
_THROTTLED = (
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingError",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
)
_UNAVAILABLE = (
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "RequestTimeout",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Unavailable",
)

CLASS_OF_CODE: Final[dict[str, type[RunctlError]]] = {
    **dict.fromkeys(_PERMISSION, PermissionDenied),
    **dict.fromkeys(_CREDENTIALS, CredentialsError),
    **dict.fromkeys(_THROTTLED, Throttled),
    **dict.fromkeys(_UNAVAILABLE, AwsUnavailable),
}


def code_of(error: ClientError) -> str:
    """Read AWS's error code from a botocore error; empty when the answer carried none."""
    return error.response.get("Error", {}).get("Code", "")


def error_of(error: ClientError) -> RunctlError:
    """Turn what AWS answered into our error; an unknown code stays an AwsError that names it."""
    code = code_of(error)
    text = error.response.get("Error", {}).get("Message", "") or "no message"
    message = f"{error.operation_name}: {text} ({code})"
    our_class = CLASS_OF_CODE.get(code, AwsError)
    if issubclass(our_class, AwsError):
        return our_class(message, hint=_HINT_OF_CLASS.get(our_class, ""), aws_code=code, operation=error.operation_name)
    return our_class(message, hint=_HINT_OF_CLASS.get(our_class, ""))


_HINT_OF_CLASS: Final[dict[type[RunctlError], str]] = {
    PermissionDenied: "Ask who looks after the AWS account to allow this action to the role or user that is named.",
    CredentialsError: "Log in to AWS again (e.g. aws sso login), or check AWS_PROFILE and the access keys.",
    Throttled: "AWS limits how often this is called; try again in a minute.",
    AwsUnavailable: "Try again in a minute; health.aws.amazon.com shows disturbances.",
}


@contextmanager
def aws_errors() -> Generator[None]:
    """Let only errors of `runctl.errors` out of a block that calls AWS."""
    try:
        yield
    except ClientError as error:
        raise error_of(error) from error
    except (NoCredentialsError, PartialCredentialsError, UnauthorizedSSOTokenError, TokenRetrievalError) as error:
        raise CredentialsError(str(error), hint=_HINT_OF_CLASS[CredentialsError]) from error
    except (NoRegionError, ProfileNotFound) as error:
        raise ConfigurationError(str(error), hint="Set AWS_REGION, or a profile that has a region.") from error
    except (EndpointConnectionError, ConnectionClosedError, HTTPClientError) as error:
        raise AwsUnavailable(str(error), hint=_HINT_OF_CLASS[AwsUnavailable], aws_code=type(error).__name__) from error
    except BotoCoreError as error:
        raise AwsError(str(error), aws_code=type(error).__name__) from error
