"""The function `reap_machines`, invoked from a laptop."""

from typing import TYPE_CHECKING

from runctl.aws.functions import invoke
from runctl.model.sweep import Sweep, SweepRequest

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient


class ReapFunction:
    """Looks for machines that no run owns, and for runs that nothing else will set right."""

    def __init__(self, client: "LambdaClient", function_name: str) -> None:
        self._client = client
        self._function_name = function_name

    def sweep(self, request: SweepRequest) -> Sweep:
        """Look once; answers what was done, or in a dry run what would be.

        What the function raises is raised here again, under its class of `runctl.errors`.
        """
        return invoke(self._client, self._function_name, request, Sweep)
