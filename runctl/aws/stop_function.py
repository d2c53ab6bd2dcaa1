"""The function `stop_run`, invoked from a laptop."""

from typing import TYPE_CHECKING

from runctl.aws.functions import invoke
from runctl.model.stop import StopAnswer, StopCommand

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient


class StopFunction:
    """Asks runs to save and end."""

    def __init__(self, client: "LambdaClient", function_name: str) -> None:
        self._client = client
        self._function_name = function_name

    def stop(self, command: StopCommand) -> StopAnswer:
        """Ask a run to save and end; answers how it stands then.

        What the function raises is raised here again, under its class of `runctl.errors`.
        """
        return invoke(self._client, self._function_name, command, StopAnswer)
