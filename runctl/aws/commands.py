"""SSM: `Commands` of runctl/controller/ports.py."""

from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of
from runctl.errors import MachineNotReady
from runctl.model.ids import InstanceId

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient

DOCUMENT: Final = "AWS-RunShellScript"
DELIVERY_TIMEOUT_S: Final = 120
"""How long SSM tries to hand the command over. The machine is online, so a minute is ample; 30 is SSM's least."""
EXECUTION_TIMEOUT_S: Final = 600
"""How long the script may run. It only starts the supervisor, or signals it: seconds, minutes on a machine that swaps.
SSM's limit of 48 hours is of no concern to a training, which never lives inside the command."""

_MAX_COMMENT: Final = 100


class SsmCommands:
    """Asks SSM whether it reaches a machine, and runs short scripts there."""

    def __init__(self, client: "SSMClient") -> None:
        self._client = client

    def is_online(self, instance_id: InstanceId) -> bool:
        """Whether SSM says `PingStatus=Online`."""
        with aws_errors():
            answer = self._client.describe_instance_information(
                Filters=[{"Key": "InstanceIds", "Values": [instance_id]}]
            )
        return any(known.get("PingStatus") == "Online" for known in answer["InstanceInformationList"])

    def send(self, instance_id: InstanceId, script: str, *, comment: str) -> str:
        """Run one short shell script through AWS-RunShellScript; answers the command id.

        Everybody who may list commands can read the script: it holds no secret. Raises MachineNotReady when SSM does
        not know the instance (InvalidInstanceId: not registered yet, stopped, or gone).
        """
        with aws_errors():
            try:
                answer = self._client.send_command(
                    InstanceIds=[instance_id],
                    DocumentName=DOCUMENT,
                    Parameters={"commands": [script], "executionTimeout": [str(EXECUTION_TIMEOUT_S)]},
                    TimeoutSeconds=DELIVERY_TIMEOUT_S,
                    Comment=comment[:_MAX_COMMENT],
                )
            except ClientError as error:
                if code_of(error) != "InvalidInstanceId":
                    raise
                raise MachineNotReady(f"SSM does not reach {instance_id}.") from error
        return answer["Command"].get("CommandId", "")
