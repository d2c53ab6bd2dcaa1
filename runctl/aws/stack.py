"""The outputs of the deployed stack: how a laptop finds what was deployed."""

from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of
from runctl.errors import NotDeployedError
from runctl.model.base import Model
from runctl.model.names import STACK_NAME, Output, Parameter

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

_USABLE: Final = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "IMPORT_COMPLETE",
    }
)
"""Statuses in which the stack's outputs name things that exist."""

DEPLOY_HINT: Final = "Deploy it first: runctl deploy. Or choose another target with --target."


class StackOutputs(Model):
    """What the stack put out, by the names of `runctl.model.names.Output`."""

    stack_id: str
    runs_table: str
    budgets_table: str
    bucket: str
    bus_name: str
    state_machine_arn: str
    stop_run_function: str
    machine_log_group: str
    topic_arn: str
    dead_letter_url: str
    instance_profiles: str
    version: str
    data_buckets: tuple[str, ...] = ()
    """ARNs of the buckets that machines may read, from the stack's parameters."""


_FIELD_OF_OUTPUT: Final = {
    Output.RUNS_TABLE: "runs_table",
    Output.BUDGETS_TABLE: "budgets_table",
    Output.BUCKET: "bucket",
    Output.BUS_NAME: "bus_name",
    Output.STATE_MACHINE_ARN: "state_machine_arn",
    Output.STOP_RUN_FUNCTION: "stop_run_function",
    Output.MACHINE_LOG_GROUP: "machine_log_group",
    Output.TOPIC_ARN: "topic_arn",
    Output.DEAD_LETTER_URL: "dead_letter_url",
    Output.INSTANCE_PROFILES: "instance_profiles",
    Output.VERSION: "version",
}


def read_outputs(
    client: "CloudFormationClient", *, stack_name: str = STACK_NAME, hint: str = DEPLOY_HINT
) -> StackOutputs:
    """Read the stack's outputs. Raises NotDeployedError, with `hint`, when there is no stack that can be used."""
    with aws_errors():
        try:
            stacks = client.describe_stacks(StackName=stack_name)["Stacks"]
        except ClientError as error:
            # CloudFormation has no code of its own for a stack that does not exist.
            if code_of(error) == "ValidationError" and "does not exist" in str(error):
                raise NotDeployedError(f"There is no stack {stack_name} here.", hint=hint) from error
            raise
    if not stacks:
        raise NotDeployedError(f"There is no stack {stack_name} here.", hint=hint)
    stack = stacks[0]
    status = stack["StackStatus"]
    if status not in _USABLE:
        raise NotDeployedError(f"The stack {stack_name} cannot be used: its status is {status}.", hint=hint)
    found = {output.get("OutputKey", ""): output.get("OutputValue", "") for output in stack.get("Outputs", [])}
    missing = [output.value for output in Output if not found.get(output.value)]
    if missing:
        raise NotDeployedError(
            f"The stack {stack_name} was deployed by another version: it has no output {', '.join(missing)}.", hint=hint
        )
    fields = {field: found[output.value] for output, field in _FIELD_OF_OUTPUT.items()}
    parameters = {each.get("ParameterKey", ""): each.get("ParameterValue", "") for each in stack.get("Parameters", [])}
    allowed = parameters.get(Parameter.DATA_BUCKETS.value, "")
    return StackOutputs(
        stack_id=stack.get("StackId", stack_name), data_buckets=tuple(filter(None, allowed.split(","))), **fields
    )
