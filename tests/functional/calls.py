"""What a handler asked of AWS, and answers where moto has none."""

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

Answer = Mapping[str, Any] | Exception


class Calls:
    """Writes down every call of every boto3 client; answers those it was told to, and hands the rest to moto."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[str, dict[str, Any]]] = []
        self._answers: dict[str, Answer] = {}
        make_call = BaseClient._make_api_call

        def record(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
            self.made.append((operation, parameters))
            answer = self._answers.get(operation)
            if isinstance(answer, Exception):
                raise answer
            return make_call(client, operation, parameters) if answer is None else answer

        monkeypatch.setattr(BaseClient, "_make_api_call", record)

    def answer(self, operation: str, answer: Mapping[str, Any]) -> None:
        """Answer an operation with this from now on."""
        self._answers[operation] = answer

    def refuse(self, operation: str, code: str) -> None:
        """Answer an operation with an error code from now on."""
        self._answers[operation] = ClientError({"Error": {"Code": code, "Message": "as AWS puts it"}}, operation)

    def of(self, operation: str) -> list[dict[str, Any]]:
        """Arguments of all calls of an operation."""
        return [parameters for made, parameters in self.made if made == operation]
