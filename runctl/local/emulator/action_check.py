"""Whether a caller's role may make a call about machines at all.

ministack judges every request that it answers. Those that the front answers pass it by: for these, the action must be
allowed by some statement of the role. Resources and conditions are not looked at, for what they name (an instance's
tags, the zone of a subnet) lies behind the front; FIDELITY.md says so.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from runctl.local.emulator.seam import module
from runctl.local.machines.wire.asgi import Request, Response, read_request, replayed, send_response

_SERVICES: Final = frozenset({"ec2", "ssm"})
_SIGNED_FOR: Final = re.compile(r"Credential=([^/,]+)/[^/,]+/[^/,]+/([^/,]+)/")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class ActionCheck:
    """Stands before the front and refuses EC2 and SSM calls of roles that lack the action."""

    def __init__(self, app: Application, account_id: str) -> None:
        self._app = app
        self._account_id = account_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on unchanged."""
        access_key, service = _caller(scope)
        if service not in _SERVICES:
            await self._app(scope, receive, send)
            return
        request = await read_request(scope, receive)
        refusal = self._refusal(access_key, service, request)
        if refusal is None:
            await self._app(scope, replayed(request.body, receive), send)
        else:
            await send_response(send, refusal)

    def _refusal(self, access_key: str, service: str, request: Request) -> Response | None:
        evaluator, actions = module("core.iam_evaluator"), module("core.iam_actions")
        query = {name: [value] for name, value in request.query.items()}
        action = actions.extract_iam_action(service, request.method, request.path, request.headers, request.body, query)
        if action is None:
            return None
        principal = evaluator.resolve_principal(access_key, self._account_id)
        if isinstance(principal, evaluator.AuthError):
            told = {"error_code": principal.code, "message": principal.message}
            return self._response(service, action, "", request, told)
        if principal.policies is None:  # the account's root
            return None
        statements = [each for policy in principal.policies for each in policy if each.effect == "Allow"]
        if any(evaluator._action_matches(action, each.actions, each.not_actions) for each in statements):
            return None
        return self._response(service, action, principal.arn, request, {})

    def _response(
        self, service: str, action: str, principal_arn: str, request: Request, told: dict[str, str]
    ) -> Response:
        denied = module("core.iam_actions").access_denied_response
        request_id = str(uuid.uuid4())
        status, headers, body = denied(service, action, principal_arn, request_id, headers=request.headers, **told)
        return Response(status, body, headers["Content-Type"], headers)


def _caller(scope: Scope) -> tuple[str, str]:
    """The access key id and the service that a request was signed with and for; empty texts where it was not."""
    if scope["type"] != "http":
        return "", ""
    for name, value in scope["headers"]:
        if name.lower() == b"authorization":
            found = _SIGNED_FOR.search(value.decode("latin-1"))
            return (found[1], found[2]) if found is not None else ("", "")
    return "", ""
