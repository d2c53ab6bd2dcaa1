"""The state machine's resource: its definition, its log, its role."""

from typing import Final

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.constructs.functions import Functions
from stacks.constructs.identity import Names
from stacks.state_machine.chain import build_chain

EXECUTION_TIMEOUT: Final = Duration.days(364)
"""AWS ends an execution after a year without a catch (Step Functions Developer Guide, "Service quotas")."""


class StateMachine(Construct):
    """One standard state machine; an execution is a run, and is named by its id."""

    def __init__(self, scope: Construct, construct_id: str, *, names: Names, functions: Functions) -> None:
        super().__init__(scope, construct_id)
        log_group = logs.LogGroup(
            self,
            "Logs",
            # With this prefix many log groups need no growing resource policy (CloudWatch Logs User Guide).
            log_group_name=f"/aws/vendedlogs/states/{Aws.STACK_NAME}",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.resource = sfn.StateMachine(
            self,
            "Runs",
            state_machine_name=names.state_machine,
            state_machine_type=sfn.StateMachineType.STANDARD,
            definition_body=sfn.DefinitionBody.from_chainable(build_chain(self, functions.__getitem__)),
            timeout=EXECUTION_TIMEOUT,
            tracing_enabled=True,
            # Execution data holds task tokens, and what people called their projects.
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=False),
        )
