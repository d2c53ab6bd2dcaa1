"""Idempotency by client token: the same request is answered with the same answer, a changed one is refused."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from runctl.local.machines.wire.errors import AwsError

Json = dict[str, Any]


class Replays:
    """Answers that were given under a client token. They are files, and outlive the server as tokens outlive a call."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._turn = asyncio.Lock()

    async def once(self, token: str, parameters: Json, make: Callable[[], Awaitable[Json]]) -> Json:
        """Make an answer, or give the one that was made; raises `IdempotentParameterMismatch` for another request.

        A request that failed leaves nothing behind. One after another, so that two at once do not both launch.
        """
        asked = {name: value for name, value in parameters.items() if name != "ClientToken"}
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
        record = self._directory / f"{hashlib.sha256(token.encode()).hexdigest()}.json"
        async with self._turn:
            if record.exists():
                remembered = cast("Json", json.loads(record.read_text()))
                if remembered["request"] != digest:
                    raise AwsError(
                        "IdempotentParameterMismatch",
                        "Arguments on this idempotent request are inconsistent with arguments used in previous "
                        "request(s).",
                    )
                return cast("Json", remembered["answer"])
            answer = await make()
            self._directory.mkdir(parents=True, exist_ok=True)
            record.write_text(json.dumps({"request": digest, "answer": answer}))
            return answer
