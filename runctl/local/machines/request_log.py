"""Notes what the account is asked, one line a request, while `requests.jsonl` lies in the state folder: for counting
what would be paid for."""

import json
import re
from pathlib import Path
from typing import Any, Final

from runctl.local.machines.wire.asgi import App, Message, Receive, Scope, Send, read_body, replayed, scope_headers

FILE_NAME: Final = "requests.jsonl"
_WITH_BODIES: Final = ("DynamoDB_20120810.", "AWSEvents.")
"""Targets whose bodies say what is paid for: items and entries. Others may be large, or hold secrets."""
_SIGNED_FOR: Final = re.compile(r"Credential=[^/,]+/[^/,]+/[^/,]+/([^/,]+)/")


class RequestLog:
    """Stands around an application; costs one look at the folder when nobody counts."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE_NAME

    async def answer(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, and note the request."""
        if scope["type"] != "http" or not self._path.exists():
            await app(scope, receive, send)
            return
        headers = scope_headers(scope)
        signed_for = _SIGNED_FOR.search(headers.get("authorization", ""))
        target = headers.get("x-amz-target", "")
        noted: dict[str, Any] = {
            "service": signed_for[1] if signed_for else "",
            "target": target,
            "method": scope["method"],
            "path": scope["path"],
        }
        if not target.startswith(_WITH_BODIES):
            await app(scope, receive, send)
        else:
            body = await read_body(receive)
            answered: list[bytes] = []

            async def send_and_keep(message: Message) -> None:
                answered.append(message.get("body", b""))
                await send(message)

            await app(scope, replayed(body, receive), send_and_keep)
            noted |= {"asked": _document(body), "answered": _document(b"".join(answered))}
        with self._path.open("a") as file:
            file.write(json.dumps(noted) + "\n")


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
