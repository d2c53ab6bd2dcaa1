"""Functions of the controller, invoked from a laptop."""

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from runctl import errors
from runctl.aws.errors import aws_errors
from runctl.model.base import WireModel

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

Answer = TypeVar("Answer", bound=BaseModel)


def invoke(client: "LambdaClient", function_name: str, request: WireModel, answer_model: type[Answer]) -> Answer:
    """Invoke a function, wait for its end, and answer what it answered.

    What the function raises is raised here again, under its class of `runctl.errors`; AwsError for an answer that is
    no `answer_model`.
    """
    with aws_errors():
        answer = client.invoke(
            FunctionName=function_name,
            InvocationType="RequestResponse",
            Payload=request.model_dump_json().encode(),
        )
        payload = answer["Payload"].read()
    if "FunctionError" in answer:
        raise _error_of(payload, function_name)
    try:
        return answer_model.model_validate_json(payload)
    except ValidationError as error:
        name = _stem(function_name)
        raise errors.AwsError(f"The function {name} answered what this version does not understand.") from error


def hand_over(client: "LambdaClient", function_name: str, payload: bytes) -> None:
    """Let a function see to an event, and do not wait for it: returns when Lambda has accepted the event, which it then
    delivers, tries again and puts away as it does with any other (Lambda Developer Guide, "Invoking a Lambda function
    asynchronously")."""
    with aws_errors():
        client.invoke(FunctionName=function_name, InvocationType="Event", Payload=payload)


class _Told(WireModel):
    """What Lambda tells of an exception (Lambda Developer Guide, "Using Lambda function error types")."""

    errorType: str = ""
    errorMessage: str = ""


def _error_of(payload: bytes, function_name: str) -> errors.RunctlError:
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
    return errors.AwsError(
        f"The function {_stem(function_name)} failed: {name or 'unknown error'}: {message}", aws_code=name
    )


def _stem(function_name: str) -> str:
    return function_name.rpartition("-")[2]
