"""EC2's endpoint: which calls are answered here, which are refused, and which are the emulator's."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.model import ServiceModel

from runctl.local.machines.rights import Rights
from runctl.local.machines.wire import ec2_query
from runctl.local.machines.wire.asgi import Response
from runctl.local.machines.wire.errors import AwsError, unsupported

Json = dict[str, Any]

_log = logging.getLogger(__name__)

REFUSED = frozenset(
    {
        "AssociateAddress",
        "AssociateIamInstanceProfile",
        "AttachNetworkInterface",
        "AttachVolume",
        "CreateImage",
        "DeleteFleets",
        "DescribeFleets",
        "DescribeIamInstanceProfileAssociations",
        "DescribeInstanceAttribute",
        "DescribeInstanceCreditSpecifications",
        "DescribeInstanceTopology",
        "DisassociateIamInstanceProfile",
        "ModifyInstanceAttribute",
        "ModifyInstanceMaintenanceOptions",
        "ReplaceIamInstanceProfileAssociation",
        "RequestSpotInstances",
        "RequestSpotFleet",
    }
)
"""Calls about instances that the emulator would answer from its own, empty list of them: a lie, so they are refused."""


@dataclass(frozen=True)
class Operation:
    """A call that is answered here."""

    handle: Callable[[Json], Awaitable[Json]]
    understood: frozenset[str]
    """Parameters that have a meaning here, with all that lies below them: `Filters`, `Overrides.InstanceType`."""


class Ec2Api:
    """Answers EC2 requests."""

    def __init__(self, model: ServiceModel, operations: Mapping[str, Operation], rights: Rights) -> None:
        self._model = model
        self._rights = rights
        self._operations = operations

    def owns(self, action: str) -> bool:
        """Whether a call is answered, or refused, here."""
        return action in self._operations or action in REFUSED

    async def answer(self, action: str, form: dict[str, str]) -> Response:
        """Answer a call; errors are answers too."""
        try:
            if action in REFUSED:
                raise unsupported(f"EC2's {action}")
            operation = self._operations[action]
            parameters = ec2_query.parse(self._model.operation_model(action), form)
            _refuse_unknown(action, parameters, operation.understood)
            self._rights.check_ec2(action, parameters)
            if parameters.pop("DryRun", False):
                raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
            result = await operation.handle(parameters)
        except AwsError as error:
            _log.info("%s refused: %s", action, error)
            return ec2_query.failure(error)
        return ec2_query.success(self._model.operation_model(action), result)


def _refuse_unknown(action: str, parameters: Json, understood: frozenset[str]) -> None:
    for path in ec2_query.given_paths(parameters):
        parts = path.split(".")
        prefixes = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
        if path != "DryRun" and not prefixes & understood:
            raise unsupported(f"The parameter {path} of {action}")
