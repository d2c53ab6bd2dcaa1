"""From what AWS answers to our errors: the boundary that every gateway passes.

What a code means stands in `runctl.model.aws_codes`. A code that it lacks stays an `AwsError` that carries the code and
the operation: loud, and never a lack of capacity. A refused permission is `PermissionDenied` whatever was asked for.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    CredentialRetrievalError,
    HTTPClientError,
    InvalidConfigError,
    InvalidRegionError,
    LoginError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as BotocoreConnectionError

from runctl.errors import (
    AwsError,
    AwsUnavailable,
    CapacityUnavailable,
    ConfigurationError,
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

CLASS_OF_KIND: Final[dict[AwsCodeKind, type[RunctlError]]] = {
    AwsCodeKind.CAPACITY: CapacityUnavailable,
    AwsCodeKind.QUOTA: QuotaExceeded,
    AwsCodeKind.PERMISSION: PermissionDenied,
    AwsCodeKind.THROTTLED: Throttled,
    AwsCodeKind.UNSUPPORTED: PoolUnsupported,
    AwsCodeKind.INVALID_SPEC: InvalidSpec,
    AwsCodeKind.CREDENTIALS: CredentialsError,
}
"""The kinds of `runctl.model.aws_codes` as classes; a test wants each kind here."""

_HINT_OF_CLASS: Final[dict[type[RunctlError], str]] = {
    PermissionDenied: "Ask who looks after the AWS account to allow this action to the role or user that is named.",
    CredentialsError: "Log in to AWS again (e.g. aws sso login), or check AWS_PROFILE and the access keys.",
    Throttled: "AWS limits how often this is called; try again in a minute.",
    AwsUnavailable: "Check the network; health.aws.amazon.com shows AWS's own disturbances.",
    QuotaExceeded: "Ask for a higher quota in the console of Service Quotas, or wait until other machines have ended.",
    CapacityUnavailable: "Name more instance types with --instance-type, or try later.",
}

_NO_CREDENTIALS: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    SSOError,
    TokenRetrievalError,
    LoginError,  # of `aws login`
)
_NO_CONFIGURATION: Final = (NoRegionError, InvalidRegionError, ProfileNotFound, ConfigParseError, InvalidConfigError)


def code_of(error: ClientError) -> str:
    """Read AWS's error code from a botocore error; empty when the answer carried none."""
    return error.response.get("Error", {}).get("Code", "")


def error_of(error: ClientError) -> RunctlError:
    """Turn what AWS answered into our error; an unknown code stays an AwsError that names it."""
    code = code_of(error)
    text = error.response.get("Error", {}).get("Message", "") or "no message"
    message = f"{error.operation_name}: {text} ({code})"
    kind = kind_of(code)
    our_class = AwsError if kind is None else CLASS_OF_KIND[kind]
    advice = advice_of(code)
    hint = _HINT_OF_CLASS.get(our_class, "") if advice is None else advice.hint
    if issubclass(our_class, AwsError):
        return our_class(message, hint=hint, aws_code=code, operation=error.operation_name)
    ours = our_class(message, hint=hint)
    ours.aws_code = code
    return ours


@contextmanager
def aws_errors() -> Generator[None]:
    """Let only errors of `runctl.errors` out of a block that calls AWS."""
    try:
        yield
    except ClientError as error:
        raise error_of(error) from error
    except _NO_CREDENTIALS as error:
        raise CredentialsError(str(error), hint=_HINT_OF_CLASS[CredentialsError]) from error
    except _NO_CONFIGURATION as error:
        raise ConfigurationError(str(error), hint="Set AWS_REGION, or a profile that has a region.") from error
    except (BotocoreConnectionError, HTTPClientError) as error:
        # No code of AWS: whether the call was carried out is not known, and callers go by that.
        raise AwsUnavailable(str(error), hint=_HINT_OF_CLASS[AwsUnavailable]) from error
    except BotoCoreError as error:
        raise AwsError(str(error)) from error
