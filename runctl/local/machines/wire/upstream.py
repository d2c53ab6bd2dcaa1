"""Calls to the emulator behind the front, in this process, as the account's root."""

import asyncio
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlencode

from botocore.model import ServiceModel, StructureShape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from runctl.local.machines.wire.asgi import App, Request, call
from runctl.local.machines.wire.errors import AwsError


class Upstream:
    """A small AWS client whose network is a function call."""

    def __init__(self, app: App, models: dict[str, ServiceModel], *, region: str, account_id: str) -> None:
        self._app = app
        self._models = models
        self._region = region
        self._account_id = account_id

    async def call(self, service: str, operation_name: str, **parameters: object) -> dict[str, Any]:
        """Call an operation; raises `AwsError` with the emulator's code."""
        model = self._models[service]
        operation = model.operation_model(operation_name)
        protocol = cast("str", model.metadata["protocol"])
        serialized = cast("dict[str, Any]", create_serializer(protocol).serialize_to_request(parameters, operation))
        body = serialized["body"]
        scope = f"{datetime.now(UTC):%Y%m%d}/{self._region}/{service}/aws4_request"
        # An account id as the access key is the emulator's root of that account, whose signature it does not check.
        headers = {
            "host": f"{service}.{self._region}.amazonaws.com",
            "content-type": "application/x-www-form-urlencoded; charset=utf-8",
            **{name.lower(): value for name, value in cast("dict[str, str]", serialized["headers"]).items()},
            "authorization": f"AWS4-HMAC-SHA256 Credential={self._account_id}/{scope}, SignedHeaders=host, Signature=0",
        }
        data = urlencode(cast("dict[str, str]", body)).encode() if isinstance(body, dict) else cast("bytes", body)
        request = Request(serialized["method"], serialized["url_path"], headers, {}, data)
        # In a task of its own, for the emulator keeps the request's account and region in context variables.
        response = await asyncio.create_task(call(self._app, request))
        raw = {"status_code": response.status, "headers": response.headers, "body": response.body}
        output = cast("StructureShape", operation.output_shape)  # None too: botocore's own parsers take it
        parsed = cast("dict[str, Any]", create_parser(protocol).parse(raw, output))  # pyright: ignore[reportUnknownMemberType]
        if response.status >= 300:
            error = parsed.get("Error", {})
            raise AwsError(error.get("Code", "InternalError"), error.get("Message", ""), response.status)
        return parsed
