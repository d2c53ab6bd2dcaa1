"""The function `tell_slack`, invoked by itself: what one webhook did not take gets an invocation of its own."""

from typing import TYPE_CHECKING

from runctl.aws.errors import aws_errors
from runctl.model.slack import SlackMessage

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient


class SlackFunction:
    """Hands a message on. Lambda tries an asynchronous invocation twice more, a minute and two later, and then gives
    it to the function's on-failure destination (Lambda Developer Guide, "How Lambda handles errors and retries with
    asynchronous invocation")."""

    def __init__(self, client: "LambdaClient", function_name: str) -> None:
        self._client = client
        self._function_name = function_name

    def hand_on(self, message: SlackMessage) -> None:
        """Invoke the function for one webhook, and do not wait for it."""
        with aws_errors():
            self._client.invoke(
                FunctionName=self._function_name, InvocationType="Event", Payload=message.model_dump_json().encode()
            )
