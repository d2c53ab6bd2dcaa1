"""EC2's query protocol: flat form parameters in, XML out, both read from the service model.

Lists are always flat in requests (`Filter.1.Value.2`) and never in answers (`<item>`), and a member's request name is
its `queryName`, or its `locationName` with a capital letter (botocore's service model; AWS's "ec2" protocol).
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4
from xml.sax.saxutils import escape

from botocore.model import ListShape, OperationModel, Shape, StructureShape

from runctl.local.machines.wire.asgi import Response
from runctl.local.machines.wire.errors import AwsError

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_PROTOCOL_PARAMETERS = frozenset({"Action", "Version"})

Tree = dict[str, Any]


def parse(operation: OperationModel, form: dict[str, str]) -> dict[str, Any]:
    """Turn form parameters into the operation's input.

    Raises `AwsError` `UnknownParameter`, `MissingParameter` or `InvalidParameterValue` as EC2 does.
    """
    tree: Tree = {}
    node: Tree
    for key, value in form.items():
        if key in _PROTOCOL_PARAMETERS:
            continue
        node = tree
        *parents, leaf = key.split(".")
        for part in parents:
            child = node.setdefault(part, {})
            if isinstance(child, str):
                raise AwsError("UnknownParameter", f"The parameter {key} is not recognized")
            node = child
        node[leaf] = value
    if operation.input_shape is None:
        return {}
    return _parse_structure(operation.input_shape, tree, "")


def _request_name(member_name: str, member: Shape) -> str:
    serialization = member.serialization
    if "queryName" in serialization:
        return serialization["queryName"]
    name = serialization.get("name", member_name)
    return name[0].upper() + name[1:]


def _parse_structure(shape: Shape, node: Any, path: str) -> dict[str, Any]:
    if not isinstance(node, dict) or not isinstance(shape, StructureShape):
        raise AwsError("UnknownParameter", f"The parameter {path} is not recognized")
    left = dict(cast("Tree", node))
    parsed: dict[str, Any] = {}
    for name, member in shape.members.items():
        wire_name = _request_name(name, member)
        if wire_name in left:
            parsed[name] = _parse_value(member, left.pop(wire_name), f"{path}{wire_name}")
    if left:
        raise AwsError("UnknownParameter", f"The parameter {path}{min(left)} is not recognized")
    for name in shape.required_members:
        if name not in parsed:
            wire_name = _request_name(name, shape.members[name])
            raise AwsError("MissingParameter", f"The request must contain the parameter {path}{wire_name}")
    return parsed


def _parse_value(shape: Shape, node: Any, path: str) -> Any:
    if isinstance(shape, StructureShape):
        return _parse_structure(shape, node, f"{path}.")
    if isinstance(shape, ListShape):
        return _parse_list(shape, node, path)
    if not isinstance(node, str):
        raise AwsError("UnknownParameter", f"The parameter {path} is not recognized")
    return _parse_scalar(shape, node, path)


def _parse_list(shape: ListShape, node: Any, path: str) -> list[Any]:
    if not isinstance(node, dict) or not all(index.isdigit() for index in cast("Tree", node)):
        raise AwsError("InvalidParameterValue", f"The parameter {path} must be a list")
    numbered = sorted(cast("Tree", node).items(), key=lambda item: int(item[0]))
    return [_parse_value(shape.member, value, f"{path}.{index}") for index, value in numbered]


def _parse_scalar(shape: Shape, text: str, path: str) -> Any:
    invalid = AwsError("InvalidParameterValue", f"Value ({text}) for parameter {path} is invalid.")
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(text)
            case "double" | "float":
                return float(text)
            case "boolean":
                return {"true": True, "false": False}[text.lower()]
            case "timestamp":
                return datetime.fromisoformat(text).astimezone(UTC)
            case "blob":
                return base64.b64decode(text, validate=True)
            case _:
                pass
    except (ValueError, KeyError):
        raise invalid from None
    allowed = cast("list[str]", getattr(shape, "enum", []))
    # Instance types come and go faster than models; whoever reads one says how EC2 refuses it.
    if allowed and shape.name != "InstanceType" and text not in allowed:
        raise invalid
    return text


def given_paths(value: Any, prefix: str = "") -> Iterator[str]:
    """Dotted names of all leaves of a parsed input, without list positions: `Overrides.InstanceType`."""
    if isinstance(value, dict):
        for name, child in cast("dict[str, Any]", value).items():
            yield from given_paths(child, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list):
        for child in cast("list[Any]", value):
            yield from given_paths(child, prefix)
    else:
        yield prefix


def success(operation: OperationModel, result: dict[str, Any]) -> Response:
    """Write the operation's answer."""
    body = _members_xml(operation.output_shape, result) if operation.output_shape is not None else ""
    name = f"{operation.name}Response"
    text = f'<{name} xmlns="{NAMESPACE}"><requestId>{uuid4()}</requestId>{body}</{name}>'
    return Response(200, b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode(), "text/xml;charset=UTF-8")


def failure(error: AwsError) -> Response:
    """Write an error."""
    text = (
        f"<Response><Errors><Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        f"</Error></Errors><RequestID>{uuid4()}</RequestID></Response>"
    )
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode()
    return Response(error.status, body, "text/xml;charset=UTF-8")


def _members_xml(shape: Shape, value: dict[str, Any]) -> str:
    if not isinstance(shape, StructureShape):
        raise TypeError(f"{shape.name} is no structure")
    unknown = value.keys() - shape.members.keys()
    if unknown:
        raise TypeError(f"{shape.name} has no members {sorted(unknown)}")
    parts: list[str] = []
    for name, member in shape.members.items():
        if value.get(name) is not None:
            tag = cast("str", member.serialization.get("name", name))
            parts.append(f"<{tag}>{_value_xml(member, value[name])}</{tag}>")
    return "".join(parts)


def _value_xml(shape: Shape, value: Any) -> str:
    if isinstance(shape, StructureShape):
        return _members_xml(shape, value)
    if isinstance(shape, ListShape):
        tag = cast("str", shape.member.serialization.get("name", "item"))
        return "".join(f"<{tag}>{_value_xml(shape.member, item)}</{tag}>" for item in value)
    match shape.type_name:
        case "timestamp":
            return cast("datetime", value).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        case "boolean":
            return "true" if value else "false"
        case "blob":
            return base64.b64encode(value).decode()
        case _:
            return escape(str(value))
