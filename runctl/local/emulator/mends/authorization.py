"""What IAM policies may name of a request, where ministack's enforcement does not know it.

Policy variables above all: without them a machine could not read its own hand-off. Sources: IAM User Guide, "IAM policy
elements: Variables and tags"; Service Authorization Reference, "Condition keys for Amazon EventBridge"; a grant of
SendTaskSuccess, SendTaskFailure or SendTaskHeartbeat on a state machine holds for the tokens of its executions, one on
`log-group:<name>:*` for the group's streams, one on `schedule/<group>/*` for the group's schedules.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast
from urllib.parse import parse_qs

from runctl.local.emulator.mends.task_tokens import execution_of
from runctl.local.emulator.seam import module, replace

_OF_LOG_STREAMS: Final = {"CreateLogStream", "PutLogEvents"}
_VARIABLE: Final = re.compile(r"\$\{([^}]+)\}")
_ANSWERS: Final = {"SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"}


class _NoSuchVariable(Exception):
    """A policy names a variable that the request has no value for."""


def apply() -> None:
    """Complete the resource, the condition keys and the transport that a request is judged by."""
    actions = module("core.iam_actions")
    evaluator = module("core.iam_evaluator")
    app = module("app")

    def resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        """The resource that a request is about."""
        found: str = original_resource(service, method, path, headers, body, query_params, region, account_id)
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if service == "states" and action in _ANSWERS:
            return _waiting_machine(_document(body).get("taskToken")) or found
        if service == "logs" and action in _OF_LOG_STREAMS:
            return f"{found}:log-stream:{_document(body).get('logStreamName', '')}"
        if service == "scheduler" and ":schedule/default/" in found:
            group = _document(body).get("GroupName") or (query_params.get("groupName") or ["default"])[0]
            return found.replace(":schedule/default/", f":schedule/{group}/")
        return found

    def context(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        """Condition keys of a request: tags, of PutEvents what its entries say, of PutMetricData the namespace."""
        found: dict[str, Any] = original_context(service, iam_action, body, params)
        if iam_action == "cloudwatch:PutMetricData":
            found["cloudwatch:namespace"] = _namespace(body)
        if iam_action == "events:PutEvents":
            entries = cast("list[dict[str, Any]]", _document(body).get("Entries", []))
            found["events:source"] = _one_or_all({entry.get("Source", "") for entry in entries})
            found["events:detail-type"] = _one_or_all({entry.get("DetailType", "") for entry in entries})
        return found

    def pin_origin(source_ip: str, secure_transport: bool) -> None:
        """Take the loopback for a secure transport, for nothing leaves the machine on it."""
        del secure_transport
        original_pin(source_ip, True)

    def first_match(ctx: Any, statements: list[Any], effect: str) -> Any:
        """The first statement of that effect that holds for the request, its variables filled in."""
        filled = (_filled(each, partial(evaluator._resolve_condition_key, ctx=ctx)) for each in statements)
        return original_match(ctx, [each for each in filled if each is not None], effect)

    original_match = replace(evaluator, "_first_match", "ctx, stmts, effect", first_match)
    original_resource = replace(
        actions,
        "extract_resource_arn",
        "service, method, path, headers, body, query_params, region, account_id",
        resource_arn,
    )
    original_context = replace(actions, "request_tag_context", "service, iam_action, body, params", context)
    original_pin = replace(evaluator, "pin_request_origin", "source_ip, secure_transport", pin_origin)
    if hasattr(app, "pin_request_origin"):
        replace(app, "pin_request_origin", "source_ip, secure_transport", pin_origin)


def _filled(statement: Any, resolve: Callable[[str], object]) -> Any | None:
    """The statement with values for the variables in its resources; None when the request lacks one."""
    if not any("${" in pattern for pattern in (*statement.resources, *statement.not_resources)):
        return statement

    def value(variable: re.Match[str]) -> str:
        found = resolve(variable[1])
        if found is None:
            raise _NoSuchVariable
        return str(found)

    try:
        return dataclasses.replace(
            statement,
            resources=[_VARIABLE.sub(value, pattern) for pattern in statement.resources],
            not_resources=[_VARIABLE.sub(value, pattern) for pattern in statement.not_resources],
        )
    except _NoSuchVariable:
        return None


def _waiting_machine(token: object) -> str | None:
    """The state machine that waits for a token; None when it is no token."""
    execution_arn = execution_of(token)
    if execution_arn is None:
        return None
    return execution_arn.replace(":execution:", ":stateMachine:").rpartition(":")[0]


def _namespace(body: bytes) -> str | None:
    """The metrics' namespace, in both encodings that botocore uses without a CBOR library."""
    if body.startswith(b"{"):
        return _document(body).get("Namespace")
    return parse_qs(body.decode("utf-8", "replace")).get("Namespace", [None])[0]


def _one_or_all(values: set[str]) -> str | list[str]:
    """A key with one value is matched by plain operators, one with several only by those for sets."""
    return next(iter(values)) if len(values) == 1 else sorted(values)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return {}
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}
