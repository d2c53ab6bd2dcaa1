"""The Lambda functions: one a concern, each with a role of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from runctl.model.names import Function, Variable
from stacks.constructs.access import Resources, allow, statements
from stacks.constructs.identity import Names, id_of

FUNCTION_TIMEOUT: Final = Duration.seconds(60)
"""CreateFleet over many pools takes tens of seconds at worst. Less than the state machine's STEP_TIMEOUT."""

MEMORY_MIB: Final = 512
"""A third of a vCPU: importing boto3 and pydantic takes a second instead of four. Billed by the millisecond."""


@dataclass(frozen=True)
class Code:
    """Where the one archive of all functions lies."""

    bucket: str
    key: str


class Functions(Construct):
    """One function for each member of `Function`. The handler is named by string; its code is never imported here."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Names,
        code: Code,
        resources: Resources,
        variables: Mapping[Variable, str],
        dead_letters: sqs.Queue,
    ) -> None:
        super().__init__(scope, construct_id)
        archive = lambda_.Code.from_bucket(s3.Bucket.from_bucket_name(self, "AssetBucket", code.bucket), code.key)
        self._functions = {
            function: self._function(function, names, archive, resources, variables, dead_letters)
            for function in Function
        }

    def __getitem__(self, function: Function) -> lambda_.Function:
        return self._functions[function]

    def _function(
        self,
        function: Function,
        names: Names,
        archive: lambda_.S3Code,
        resources: Resources,
        variables: Mapping[Variable, str],
        dead_letters: sqs.Queue,
    ) -> lambda_.Function:
        name = names.function(function)
        construct_id = id_of(function)
        log_group = logs.LogGroup(
            self,
            f"{construct_id}Logs",
            log_group_name=f"/aws/lambda/{name}",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        role = iam.Role(
            self,
            f"{construct_id}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"What the function {function.value} of runctl may do.",
        )
        role.add_to_policy(allow("logs:CreateLogStream", "logs:PutLogEvents", on=log_group.log_group_arn))
        for statement in statements(function, resources):
            role.add_to_policy(statement)
        return lambda_.Function(
            self,
            construct_id,
            function_name=name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler=handler_of(function),
            code=archive,
            role=role,
            timeout=FUNCTION_TIMEOUT,
            memory_size=MEMORY_MIB,
            environment={
                **{variable.value: value for variable, value in variables.items()},
                "POWERTOOLS_SERVICE_NAME": function.value,
            },
            log_group=log_group,
            # A rule's own queue never sees an exception or a throttle of the function; this destination does.
            on_failure=destinations.SqsDestination(dead_letters),
        )


def handler_of(function: Function) -> str:
    """The handler as Lambda imports it."""
    return f"lambdas.{function.value}.handler.handler"
