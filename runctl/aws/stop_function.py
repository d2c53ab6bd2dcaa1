"""The function `stop_run`, invoked from a laptop."""

from typing import TYPE_CHECKING

from pydantic import ValidationError

from runctl import errors
from runctl.aws.errors import aws_errors
from runctl.model.base import WireModel
from runctl.model.stop import StopAnswer, StopCommand

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient


class StopFunction:
    """Asks runs to save and end."""

    def __init__(self, client: "LambdaClient", function_name: str) -> None:
        self._client = client
        self._function_name = function_name

    def stop(self, command: StopCommand) -> StopAnswer:
        """Ask a run to save and end; answers how it stands then.

        What the function raises is raised here again, under its class of `runctl.errors`.
        """
        with aws_errors():
            answer = self._client.invoke(
                FunctionName=self._function_name,
                InvocationType="RequestResponse",
                Payload=command.model_dump_json().encode(),
            )
            payload = answer["Payload"].read()
        if "FunctionError" in answer:
            raise _error_of(payload)
        try:
            return StopAnswer.model_validate_json(payload)
        except ValidationError as error:
            raise errors.AwsError("The function stop_run answered what this version does not understand.") from error


class _Told(WireModel):
    """What Lambda tells of an exception (Lambda Developer Guide, "Using Lambda function error types")."""

    errorType: str = ""
    errorMessage: str = ""


def _error_of(payload: bytes) -> errors.RunctlError:
    """Make the function's error again from what Lambda tells of it: `errorType` is the class name."""
    try:
        told = _Told.model_validate_json(payload)
    except ValidationError:
        told = _Told()
    name = told.errorType.rpartition(".")[2]
    message = told.errorMessage or "no message"
    our_class = getattr(errors, name, None)
    if isinstance(our_class, type) and issubclass(our_class, errors.RunctlError):
        return our_class(message)
    return errors.AwsError(f"The function stop_run failed: {name or 'unknown error'}: {message}", aws_code=name)
