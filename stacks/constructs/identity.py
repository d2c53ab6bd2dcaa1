"""Names that the stack gives, so that one resource can name another without waiting for it.

A function must know the state machine that invokes it, and `stop_run` is called by schedules that functions make:
references would go in circles. Every name begins with the stack's own, so that two stacks live in one account.
"""

from dataclasses import dataclass
from typing import Final

from aws_cdk import ArnFormat, Aws, Stack

from runctl.model.names import Function, Tag

STACK_TAG: Final = Tag.STACK.value
"""Names the stack on everything that is made by it or for it."""


@dataclass(frozen=True)
class Names:
    """Names and ARNs as strings that CloudFormation fills in."""

    stack: Stack

    @property
    def state_machine(self) -> str:
        """The state machine's name is the stack's."""
        return Aws.STACK_NAME

    @property
    def state_machine_arn(self) -> str:
        """ARN of the state machine."""
        return self._arn("states", "stateMachine", self.state_machine, ArnFormat.COLON_RESOURCE_NAME)

    @property
    def execution_arns(self) -> str:
        """Pattern of the ARNs of all executions."""
        return self._arn("states", "execution", f"{self.state_machine}:*", ArnFormat.COLON_RESOURCE_NAME)

    def function(self, function: Function) -> str:
        """Name of a function, e.g. `runctl-admit_run`."""
        return f"{Aws.STACK_NAME}-{function.value}"

    def function_arn(self, function: Function) -> str:
        """ARN of a function."""
        return self._arn("lambda", "function", self.function(function), ArnFormat.COLON_RESOURCE_NAME)

    @property
    def machine_log_group(self) -> str:
        """Log group of the trainings, one stream an attempt."""
        return f"/{Aws.STACK_NAME}/machines"

    @property
    def metric_namespace(self) -> str:
        """Namespace of our own metrics, which carry no dimension."""
        return Aws.STACK_NAME

    @property
    def schedule_group(self) -> str:
        """Group of the one-time schedules."""
        return f"{Aws.STACK_NAME}-runs"

    @property
    def schedule_arns(self) -> str:
        """Pattern of the ARNs of all one-time schedules."""
        return self._arn("scheduler", "schedule", f"{self.schedule_group}/*", ArnFormat.SLASH_RESOURCE_NAME)

    def _arn(self, service: str, resource: str, name: str, form: ArnFormat) -> str:
        return self.stack.format_arn(service=service, resource=resource, resource_name=name, arn_format=form)


def id_of(function: Function) -> str:
    """CDK id of a function: `admit_run` is `AdmitRun`."""
    return "".join(word.capitalize() for word in function.value.split("_"))
