"""Who makes a call about machines, and what their policies say of it.

ministack judges every request that it answers. Those that the front answers pass it by: for these the caller is looked
up here, and the front asks for each action and resource that a call needs (`runctl.local.machines.rights`).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from runctl.local.emulator.seam import module
from runctl.local.machines.rights import JUDGE
from runctl.local.machines.wire.asgi import Request, Response, read_request, send_response

_SERVICES: Final = frozenset({"ec2", "ssm"})
_SIGNED_FOR: Final = re.compile(r"Credential=([^/,]+)/[^/,]+/[^/,]+/([^/,]+)/")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Caller:
    """A role or a user, with the policies that are theirs at this moment."""

    principal: Any
    region: str

    @property
    def caller_arn(self) -> str:
        """The caller's ARN."""
        return str(self.principal.arn)

    def allows(self, action: str, resource_arn: str, keys: Mapping[str, object]) -> bool:
        """Whether the policies allow the action on the resource (IAM User Guide, "Policy evaluation logic")."""
        evaluator, principal = module("core.iam_evaluator"), self.principal
        if principal.policies is None:  # the account's root
            return True
        context = evaluator.EvalContext(
            principal_arn=principal.arn,
            principal_type=principal.type,
            principal_account=principal.account,
            action=action,
            resource_arn=resource_arn,
            region=self.region,
            source_ip="127.0.0.1",
            secure_transport=True,
            service_context={"aws:tagkeys": None, **keys},
            principal_keys=principal.keys,
        )
        return bool(evaluator.evaluate(context, principal.policies, *principal.limits).decision == "Allow")


class Callers:
    """Stands before the front: refuses EC2's and SSM's calls of strangers, and says who makes the others."""

    def __init__(self, app: Application, account_id: str, region: str) -> None:
        self._app = app
        self._account_id = account_id
        self._region = region

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on unchanged."""
        access_key, service = _signer(scope)
        if service not in _SERVICES:
            await self._app(scope, receive, send)
            return
        evaluator = module("core.iam_evaluator")
        principal = evaluator.resolve_principal(access_key, self._account_id)
        if isinstance(principal, evaluator.AuthError):
            await send_response(send, _refusal(service, principal, await read_request(scope, receive)))
            return
        token = JUDGE.set(Caller(principal, self._region))
        try:
            await self._app(scope, receive, send)
        finally:
            JUDGE.reset(token)


def _refusal(service: str, error: Any, request: Request) -> Response:
    denied = module("core.iam_actions").access_denied_response
    told = {"error_code": error.code, "message": error.message}
    status, headers, body = denied(service, "", "", str(uuid.uuid4()), headers=request.headers, **told)
    return Response(status, body, headers["Content-Type"], headers)


def _signer(scope: Scope) -> tuple[str, str]:
    """The access key id and the service that a request was signed with and for; empty texts where it was not."""
    if scope["type"] != "http":
        return "", ""
    for name, value in scope["headers"]:
        if name.lower() == b"authorization":
            found = _SIGNED_FOR.search(value.decode("latin-1"))
            return (found[1], found[2]) if found is not None else ("", "")
    return "", ""
