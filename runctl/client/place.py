"""Where a deployment stands: account, region, its state machine, and the console's pages about it."""

from dataclasses import dataclass
from typing import Final

from runctl.model.ids import RunId

_CONSOLES: Final = {
    "aws": "{region}.console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}
"""Hosts of the AWS Management Console by partition (AWS Management Console guide, "Regions"; AWS GovCloud (US) and
AWS China user guides)."""


@dataclass(frozen=True)
class Place:
    """The state machine's ARN says it all: `arn:aws:states:<region>:<account>:stateMachine:<name>`."""

    state_machine_arn: str
    has_console: bool = True
    """False when the endpoint is not AWS's own: then no page of the console knows the execution."""

    @property
    def region(self) -> str:
        """The region, e.g. `eu-central-1`."""
        return self.state_machine_arn.split(":")[3]

    @property
    def account(self) -> str:
        """The account's twelve digits."""
        return self.state_machine_arn.split(":")[4]

    def execution_arn(self, run_id: RunId) -> str:
        """Name the execution of a run (Step Functions Developer Guide, `StartExecution`: its ARN ends in the name)."""
        head, _, name = self.state_machine_arn.rpartition(":")
        return f"{head.removesuffix(':stateMachine')}:execution:{name}:{run_id}"

    def function_arn(self, name: str) -> str:
        """Name a function of the same account and Region."""
        partition, account = self.state_machine_arn.split(":")[1], self.account
        return f"arn:{partition}:lambda:{self.region}:{account}:function:{name}"

    def console_url(self, execution_arn: str | None) -> str | None:
        """Link to the console's page of an execution; None where there is no console."""
        host = _CONSOLES.get(self.state_machine_arn.split(":")[1])
        if execution_arn is None or not self.has_console or host is None:
            return None
        region = self.region
        return (
            f"https://{host.format(region=region)}/states/home?region={region}#/v2/executions/details/{execution_arn}"
        )
