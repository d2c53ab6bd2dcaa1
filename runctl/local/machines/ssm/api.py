"""Systems Manager's endpoint: which calls are answered here, and which are the emulator's."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.model import ServiceModel

from runctl.local.machines.rights import Rights
from runctl.local.machines.ssm.parameters import is_public
from runctl.local.machines.wire import aws_json
from runctl.local.machines.wire.asgi import Response
from runctl.local.machines.wire.errors import AwsError, unsupported

Json = dict[str, Any]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Operation:
    """A call that is answered here."""

    handle: Callable[[Json], Awaitable[Json]]
    understood: frozenset[str]


_PARAMETER_READS: dict[str, Callable[[Json], bool]] = {
    "GetParameter": lambda document: is_public(document.get("Name", "")),
    "GetParameters": lambda document: any(is_public(name) for name in document.get("Names", ())),
    "GetParametersByPath": lambda document: is_public(document.get("Path", "").rstrip("/")),
}
"""Reads that are answered here only when they name a public parameter."""


class SsmApi:
    """Answers Systems Manager's requests."""

    def __init__(self, model: ServiceModel, operations: Mapping[str, Operation], rights: Rights) -> None:
        self._model = model
        self._rights = rights
        self._operations = operations

    def owns(self, action: str, body: bytes) -> bool:
        """Whether a call is answered here."""
        if action not in self._operations:
            return False
        is_ours = _PARAMETER_READS.get(action)
        if is_ours is None:
            return True
        try:
            return is_ours(aws_json.document(body))
        except AwsError:
            return False

    async def answer(self, action: str, body: bytes) -> Response:
        """Answer a call; errors are answers too."""
        operation, model = self._operations[action], self._model.operation_model(action)
        try:
            parameters = aws_json.parse(model, body)
            unknown = parameters.keys() - operation.understood
            if unknown:
                raise unsupported(f"The parameter {min(unknown)} of {action}")
            self._rights.check_ssm(action, parameters)
            result = await operation.handle(parameters)
        except AwsError as error:
            _log.info("%s refused: %s", action, error)
            return aws_json.failure(error)
        return aws_json.success(model, result)
