"""Requests and responses as values, read from and written to ASGI."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    """One whole HTTP request."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    query: dict[str, str]
    body: bytes

    def form(self) -> dict[str, str]:
        """The parameters of an AWS query request: from the body, or from the query string of a GET."""
        pairs = parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        return dict(pairs) if pairs else dict(self.query)


@dataclass(frozen=True)
class Response:
    """One whole HTTP response."""

    status: int
    body: bytes
    content_type: str = "text/plain"
    headers: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def text(cls, text: str, status: int = 200, headers: dict[str, str] | None = None) -> "Response":
        """A plain text answer."""
        return cls(status, text.encode(), "text/plain", headers or {})

    @classmethod
    def json(cls, document: object, status: int = 200, content_type: str = "application/json") -> "Response":
        """A JSON answer."""
        return cls(status, json.dumps(document).encode(), content_type)


def scope_headers(scope: Scope) -> dict[str, str]:
    """Headers of a scope, names in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def read_body(receive: Receive) -> bytes:
    """Read the request's body to its end."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(chunks)
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Read a whole request."""
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    return Request(scope["method"], scope["path"], scope_headers(scope), query, await read_body(receive))


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body which was read already, then what the connection says."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return receive_again


async def send_response(send: Send, response: Response) -> None:
    """Write a response."""
    headers = {
        "content-type": response.content_type,
        "content-length": str(len(response.body)),
        **{name.lower(): value for name, value in response.headers.items()},
    }
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": raw})
    await send({"type": "http.response.body", "body": response.body})


async def call(app: App, request: Request) -> Response:
    """Call an ASGI app in this process and collect its whole answer."""
    status = 0
    headers: dict[str, str] = {}
    chunks: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            headers.update(
                (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in message["headers"]
            )
        elif message["type"] == "http.response.body":
            chunks.append(message.get("body", b""))

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.path.encode("latin-1"),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }
    await app(scope, receive, send)
    return Response(status, b"".join(chunks), headers.get("content-type", ""), headers)
