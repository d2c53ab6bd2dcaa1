"""Cuts botocore's descriptions of AWS down to the calls that the agent makes: read whole, they take 17 MB of every
machine's memory and a third of a second of its start."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

CALLS: Final = {
    "ecr": frozenset({"GetAuthorizationToken"}),
    "events": frozenset({"PutEvents"}),
    "logs": frozenset({"CreateLogStream", "GetLogEvents", "PutLogEvents"}),
    "s3": frozenset(
        {
            "AbortMultipartUpload",
            "CompleteMultipartUpload",
            "CreateMultipartUpload",
            "DeleteObject",
            "GetObject",
            "HeadBucket",  # botocore's own, where a bucket lies in another Region
            "ListObjectsV2",
            "PutObject",
            "UploadPart",
        }
    ),
    "secretsmanager": frozenset({"GetSecretValue"}),
    "ssm": frozenset({"GetParameter"}),
    "stepfunctions": frozenset({"SendTaskHeartbeat"}),
}
"""By botocore's name of the service."""

ENDPOINTS: Final = "endpoints.json"
_DESCRIPTION: Final = "service-2.json.gz"
_PREFIXES: Final = frozenset({"api.ecr", "events", "logs", "s3", "secretsmanager", "ssm", "states"})
"""What those services are called in `endpoints.json`."""


def cut(path: Path) -> bytes:
    """What of a file of botocore's data the archive carries: descriptions cut down, everything else as it is."""
    content = path.read_bytes()
    if path.name == ENDPOINTS:
        return _dumped(_endpoints(json.loads(content)))
    if path.name == _DESCRIPTION:
        description = described(json.loads(gzip.decompress(content)), CALLS[path.parent.parent.name])
        return gzip.compress(_dumped(description), mtime=0)
    return content


def described(description: dict[str, Any], calls: frozenset[str]) -> dict[str, Any]:
    """A service with these calls alone, the shapes that they need, and no documentation of either."""
    operations = {name: value for name, value in description["operations"].items() if name in calls}
    needed: set[str] = set()
    pending = list(_shapes_of(operations))
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending.extend(_shapes_of(description["shapes"][name]))
    shapes = {name: value for name, value in description["shapes"].items() if name in needed}
    return description | {"operations": _undocumented(operations), "shapes": _undocumented(shapes)}


def _endpoints(every: dict[str, Any]) -> dict[str, Any]:
    partitions = [
        partition | {"services": {name: value for name, value in partition["services"].items() if name in _PREFIXES}}
        for partition in every["partitions"]
    ]
    return every | {"partitions": partitions}


def _shapes_of(part: Any) -> Iterator[str]:
    """Names of the shapes that a part of a description refers to."""
    if isinstance(part, dict):
        if isinstance(name := part.get("shape"), str):
            yield name
        for value in part.values():
            yield from _shapes_of(value)
    elif isinstance(part, list):
        for value in part:
            yield from _shapes_of(value)


def _undocumented(part: Any) -> Any:
    """A part without its texts: a member may be called `documentation` as well, but is no text then."""
    if isinstance(part, dict):
        return {
            key: _undocumented(value)
            for key, value in part.items()
            if not (key in ("documentation", "documentationUrl") and isinstance(value, str))
        }
    return [_undocumented(value) for value in part] if isinstance(part, list) else part


def _dumped(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
