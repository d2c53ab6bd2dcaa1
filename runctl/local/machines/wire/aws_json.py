"""The JSON protocol that SSM speaks: validated against the service model on the way in and out."""

import json
from datetime import datetime
from typing import Any, cast

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.validate import ParamValidator

from runctl.local.machines.wire.asgi import Response
from runctl.local.machines.wire.errors import AwsError

_CONTENT_TYPE = "application/x-amz-json-1.1"


def parse(operation: OperationModel, body: bytes) -> dict[str, Any]:
    """Read the operation's input; raises `ValidationException` for what the service model refuses."""
    given = document(body)
    shape = operation.input_shape
    if shape is None:
        return {}
    report = ParamValidator().validate(given, shape)
    if report.has_errors():
        raise AwsError("ValidationException", report.generate_report())
    unknown = given.keys() - shape.members.keys()
    if unknown:
        raise AwsError("ValidationException", f"Unknown parameters: {', '.join(sorted(unknown))}")
    return given


def document(body: bytes) -> dict[str, Any]:
    """The request's JSON object; raises `SerializationException` when there is none."""
    try:
        given: Any = json.loads(body or b"{}")
    except ValueError:
        raise AwsError("SerializationException", "The request body is not JSON.") from None
    if not isinstance(given, dict):
        raise AwsError("SerializationException", "The request body is not a JSON object.")
    return cast("dict[str, Any]", given)


def success(operation: OperationModel, result: dict[str, Any]) -> Response:
    """Write the operation's answer."""
    answer: Any = _plain(operation.output_shape, result) if operation.output_shape is not None else {}
    return Response.json(answer, content_type=_CONTENT_TYPE)


def failure(error: AwsError) -> Response:
    """Write an error."""
    answer = {"__type": error.code, "message": error.message}
    return Response.json(answer, error.status, content_type=_CONTENT_TYPE)


def _plain(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape):
        members = cast("dict[str, Any]", value)
        unknown = members.keys() - shape.members.keys()
        if unknown:
            raise TypeError(f"{shape.name} has no members {sorted(unknown)}")
        return {name: _plain(shape.members[name], item) for name, item in members.items() if item is not None}
    if isinstance(shape, ListShape):
        return [_plain(shape.member, item) for item in value]
    if isinstance(shape, MapShape):
        return {name: _plain(shape.value, item) for name, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, datetime):
        return value.timestamp()
    return value
