"""What each function may touch: the table "What each function may touch" of docs/architecture.md, in AWS's words.

`runctl.controller.ports` names what a step needs; here each need becomes the AWS actions behind it, and nothing more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from types import MappingProxyType
from typing import Final

from aws_cdk import Aws, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam

from runctl.model.keys import HANDOFF_PREFIX, PACKAGES_PREFIX, PAGES_PREFIX, RUNS_PREFIX, slack_webhooks_path
from runctl.model.names import Function, Index, Tag
from stacks.constructs.identity import Names

START_DOCUMENT: Final = "AWS-RunShellScript"


class Need(StrEnum):
    """One thing that a function does to the world."""

    KEEP_RUNS = auto()
    KEEP_BUDGETS = auto()
    ANSWER_TOKENS = auto()
    LAUNCH_MACHINES = auto()
    DESCRIBE_MACHINES = auto()
    TERMINATE_MACHINES = auto()
    STOP_MACHINES = auto()
    READ_CONSOLES = auto()
    ASK_SSM = auto()
    SEND_COMMANDS = auto()
    READ_RESULTS = auto()
    READ_PACKAGES = auto()
    WRITE_HANDOFF = auto()
    REMOVE_HANDOFF = auto()
    SET_SCHEDULES = auto()
    REMOVE_SCHEDULES = auto()
    NOTIFY = auto()
    PUT_METRICS = auto()
    KNOW_PRICES = auto()
    ASK_EXECUTIONS = auto()
    READ_LEDGER = auto()
    KEEP_PAGES = auto()
    READ_WEBHOOKS = auto()
    TELL_LATER = auto()


CONCLUDES: Final = (
    Need.KEEP_RUNS,
    Need.KEEP_BUDGETS,
    Need.DESCRIBE_MACHINES,
    Need.TERMINATE_MACHINES,
    Need.READ_RESULTS,
    Need.REMOVE_HANDOFF,
    Need.REMOVE_SCHEDULES,
    Need.NOTIFY,
)
"""A run whose execution has ended is concluded by whoever sees its end."""

_COMMANDS: Final = (Need.ASK_SSM, Need.SEND_COMMANDS)

NEEDS: Final[Mapping[Function, tuple[Need, ...]]] = MappingProxyType(
    {
        Function.ADMIT_RUN: (Need.KEEP_RUNS, Need.KEEP_BUDGETS),
        Function.LAUNCH_MACHINE: (
            Need.KEEP_RUNS,
            Need.LAUNCH_MACHINES,
            Need.DESCRIBE_MACHINES,
            Need.TERMINATE_MACHINES,
            Need.KNOW_PRICES,
            Need.SET_SCHEDULES,
        ),
        Function.AWAIT_READY: (Need.KEEP_RUNS, Need.ANSWER_TOKENS, Need.DESCRIBE_MACHINES, Need.ASK_SSM),
        Function.START_TRAINING: (
            Need.KEEP_RUNS,
            Need.ANSWER_TOKENS,
            Need.DESCRIBE_MACHINES,
            Need.TERMINATE_MACHINES,
            *_COMMANDS,
            Need.READ_RESULTS,
            Need.READ_PACKAGES,
            Need.WRITE_HANDOFF,
        ),
        Function.DECIDE_NEXT: (
            Need.KEEP_RUNS,
            Need.DESCRIBE_MACHINES,
            Need.TERMINATE_MACHINES,
            Need.READ_CONSOLES,
            Need.ASK_SSM,
            Need.READ_RESULTS,
            Need.NOTIFY,
        ),
        Function.CONCLUDE_RUN: CONCLUDES,
        Function.OBSERVE_MACHINE: (*CONCLUDES, Need.WRITE_HANDOFF, Need.ANSWER_TOKENS, *_COMMANDS),
        Function.OBSERVE_COMMAND: (Need.KEEP_RUNS, Need.ANSWER_TOKENS),
        Function.OBSERVE_AGENT: (
            *CONCLUDES,
            Need.WRITE_HANDOFF,
            Need.ANSWER_TOKENS,
            *_COMMANDS,
            Need.PUT_METRICS,
        ),
        Function.OBSERVE_EXECUTION: (*CONCLUDES, *_COMMANDS, Need.SET_SCHEDULES),
        Function.STOP_RUN: (
            *CONCLUDES,
            Need.WRITE_HANDOFF,
            Need.ANSWER_TOKENS,
            *_COMMANDS,
            Need.SET_SCHEDULES,
            Need.KNOW_PRICES,
        ),
        Function.WATCH_COSTS: (
            Need.READ_LEDGER,
            *CONCLUDES,
            Need.STOP_MACHINES,
            Need.WRITE_HANDOFF,
            Need.ANSWER_TOKENS,
            *_COMMANDS,
            Need.SET_SCHEDULES,
            Need.KNOW_PRICES,
            Need.PUT_METRICS,
        ),
        Function.SEND_DIGEST: (Need.READ_LEDGER, Need.KEEP_PAGES, Need.NOTIFY),
        Function.TELL_SLACK: (Need.READ_WEBHOOKS, Need.TELL_LATER),
        Function.REAP_MACHINES: (
            *CONCLUDES,
            Need.STOP_MACHINES,
            Need.WRITE_HANDOFF,
            *_COMMANDS,
            Need.ANSWER_TOKENS,
            Need.SET_SCHEDULES,
            Need.ASK_EXECUTIONS,
            Need.PUT_METRICS,
        ),
    }
)


@dataclass(frozen=True)
class Resources:
    """ARNs of what there is to touch."""

    stack: Stack
    names: Names
    runs: dynamodb.Table
    budgets: dynamodb.Table
    bucket_arn: str
    launch_template_id: str
    security_group_id: str
    machine_role_arn: str
    schedule_role_arn: str
    topic_arn: str
    metric_namespace: str

    def arn(self, service: str, path: str, *, account: str | None = None) -> str:
        """ARN in this partition, Region and account; AWS's own resources have an empty account."""
        resource, _, name = path.partition("/")
        return self.stack.format_arn(service=service, resource=resource, resource_name=name, account=account)


def statements(function: Function, resources: Resources) -> list[iam.PolicyStatement]:
    """The policy statements of a function's role, in the order of its needs."""
    return [statement for need in NEEDS[function] for statement in _GRANTS[need](resources)]


def allow(*actions: str, on: str | list[str], when: dict[str, dict[str, object]] | None = None) -> iam.PolicyStatement:
    """An Allow statement."""
    return iam.PolicyStatement(
        actions=list(actions), resources=[on] if isinstance(on, str) else on, conditions=when or None
    )


_OURS_ONLY: Final[dict[str, dict[str, object]]] = {"Null": {f"aws:ResourceTag/{Tag.RUN.value}": "false"}}
"""The machine carries the run tag, which only the launching call sets."""


def _read_runs(resources: Resources) -> list[iam.PolicyStatement]:
    table = resources.runs.table_arn
    return [
        allow("dynamodb:GetItem", "dynamodb:Query", on=table),
        allow("dynamodb:Query", on=[f"{table}/index/{index.value}" for index in Index]),
    ]


def _keep_runs(resources: Resources) -> list[iam.PolicyStatement]:
    """No delete: an item of a run is never removed. A transaction needs the rights of its parts."""
    writes = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:ConditionCheckItem")
    return [*_read_runs(resources), allow(*writes, on=resources.runs.table_arn)]


def _keep_budgets(resources: Resources) -> list[iam.PolicyStatement]:
    """A reservation is deleted when all is paid; a ledger never is."""
    actions = ("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem")
    return [allow(*(f"dynamodb:{action}" for action in actions), on=resources.budgets.table_arn)]


def _answer_tokens(resources: Resources) -> list[iam.PolicyStatement]:
    return [allow("states:SendTaskSuccess", "states:SendTaskFailure", on=resources.names.state_machine_arn)]


def _launch_machines(resources: Resources) -> list[iam.PolicyStatement]:
    """CreateFleet makes EC2 launch in the caller's name, so that the caller needs the rights of RunInstances too
    (EC2 User Guide, "EC2 Fleet prerequisites"). Only our launch template and security group are among the resources:
    its user data, profile and network are what may be launched with.
    """
    return [
        allow(
            "ec2:CreateFleet",
            "ec2:RunInstances",
            on=[
                resources.arn("ec2", f"launch-template/{resources.launch_template_id}"),
                resources.arn("ec2", f"security-group/{resources.security_group_id}"),
                *(
                    resources.arn("ec2", f"{kind}/*")
                    for kind in (
                        "fleet",
                        "instance",
                        "network-interface",
                        "spot-instances-request",
                        "subnet",
                        "volume",
                    )
                ),
                *(resources.arn("ec2", f"{kind}/*", account="") for kind in ("image", "snapshot")),
            ],
        ),
        allow(
            "ec2:CreateTags",
            on=[resources.arn("ec2", f"{kind}/*") for kind in ("fleet", "instance", "network-interface", "volume")],
            when={"StringEquals": {"ec2:CreateAction": ["CreateFleet", "RunInstances"]}},
        ),
        allow(
            "iam:PassRole",
            on=resources.machine_role_arn,
            when={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
        # The first spot request of an account makes this role; a stack resource would fail where it exists.
        allow(
            "iam:CreateServiceLinkedRole",
            on=resources.stack.format_arn(
                service="iam",
                region="",
                resource="role",
                resource_name="aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot",
            ),
            when={"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}},
        ),
        allow("ec2:DescribeImages", "ec2:DescribeInstanceTypes", "ec2:DescribeSubnets", on="*"),
        allow("ssm:GetParameter", on=resources.arn("ssm", "parameter/aws/service/*", account="")),
    ]


def _describe_machines(_: Resources) -> list[iam.PolicyStatement]:
    return [allow("ec2:DescribeInstances", on="*")]


def _terminate_machines(resources: Resources) -> list[iam.PolicyStatement]:
    return [allow("ec2:TerminateInstances", on=resources.arn("ec2", "instance/*"), when=_OURS_ONLY)]


def _stop_machines(resources: Resources) -> list[iam.PolicyStatement]:
    return [allow("ec2:StopInstances", on=resources.arn("ec2", "instance/*"), when=_OURS_ONLY)]


def _read_consoles(resources: Resources) -> list[iam.PolicyStatement]:
    return [allow("ec2:GetConsoleOutput", on=resources.arn("ec2", "instance/*"), when=_OURS_ONLY)]


def _ask_ssm(_: Resources) -> list[iam.PolicyStatement]:
    return [allow("ssm:DescribeInstanceInformation", on="*")]


def _send_commands(resources: Resources) -> list[iam.PolicyStatement]:
    return [
        allow("ssm:SendCommand", on=resources.arn("ssm", f"document/{START_DOCUMENT}", account="")),
        allow(
            "ssm:SendCommand",
            on=resources.arn("ec2", "instance/*"),
            when={"StringLike": {f"ssm:resourceTag/{Tag.RUN.value}": "*"}},
        ),
    ]


def _read_results(resources: Resources) -> list[iam.PolicyStatement]:
    """Without ListBucket S3 answers 403 for a key that is not there, and a missing marker would look like a missing
    permission (S3 API Reference, GetObject). A condition on the prefix would not cover that case."""
    return [
        allow("s3:GetObject", on=f"{resources.bucket_arn}/{RUNS_PREFIX}*"),
        allow("s3:ListBucket", on=resources.bucket_arn),
    ]


def _read_packages(resources: Resources) -> list[iam.PolicyStatement]:
    """With READ_RESULTS, whose ListBucket this needs too."""
    return [allow("s3:GetObject", on=f"{resources.bucket_arn}/{PACKAGES_PREFIX}*")]


def _write_handoff(resources: Resources) -> list[iam.PolicyStatement]:
    return [allow("s3:PutObject", on=f"{resources.bucket_arn}/{HANDOFF_PREFIX}*")]


def _remove_handoff(resources: Resources) -> list[iam.PolicyStatement]:
    return [allow("s3:DeleteObject", on=f"{resources.bucket_arn}/{HANDOFF_PREFIX}*")]


def _set_schedules(resources: Resources) -> list[iam.PolicyStatement]:
    return [
        allow(
            "scheduler:CreateSchedule",
            "scheduler:UpdateSchedule",
            on=resources.names.schedule_arns,
        ),
        allow(
            "iam:PassRole",
            on=resources.schedule_role_arn,
            when={"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
        ),
    ]


def _remove_schedules(resources: Resources) -> list[iam.PolicyStatement]:
    return [allow("scheduler:DeleteSchedule", on=resources.names.schedule_arns)]


def _notify(resources: Resources) -> list[iam.PolicyStatement]:
    return [allow("sns:Publish", on=resources.topic_arn)]


def _put_metrics(resources: Resources) -> list[iam.PolicyStatement]:
    return [
        allow(
            "cloudwatch:PutMetricData",
            on="*",
            when={"StringEquals": {"cloudwatch:namespace": resources.metric_namespace}},
        )
    ]


def _know_prices(_: Resources) -> list[iam.PolicyStatement]:
    return [allow("ec2:DescribeSpotPriceHistory", "pricing:GetProducts", on="*")]


def _read_ledger(resources: Resources) -> list[iam.PolicyStatement]:
    return [allow("dynamodb:GetItem", "dynamodb:Query", on=resources.runs.table_arn)]


def _keep_pages(resources: Resources) -> list[iam.PolicyStatement]:
    return [allow("s3:PutObject", on=f"{resources.bucket_arn}/{PAGES_PREFIX}*")]


def _ask_executions(resources: Resources) -> list[iam.PolicyStatement]:
    return [allow("states:DescribeExecution", on=resources.names.execution_arns)]


def _read_webhooks(resources: Resources) -> list[iam.PolicyStatement]:
    """Names of parameters cannot be asked for below a path only (Service Authorization Reference, "Actions, resources,
    and condition keys for AWS Systems Manager", DescribeParameters); what they hold can, and AWS's own key decrypts for
    whoever may read."""
    webhooks = resources.arn("ssm", f"parameter{slack_webhooks_path(Aws.STACK_NAME)}/*")
    return [allow("ssm:GetParameter", on=webhooks), allow("ssm:DescribeParameters", on="*")]


def _tell_later(resources: Resources) -> list[iam.PolicyStatement]:
    return [allow("lambda:InvokeFunction", on=resources.names.function_arn(Function.TELL_SLACK))]


_GRANTS: Final[Mapping[Need, Callable[[Resources], list[iam.PolicyStatement]]]] = MappingProxyType(
    {
        Need.KEEP_RUNS: _keep_runs,
        Need.KEEP_BUDGETS: _keep_budgets,
        Need.ANSWER_TOKENS: _answer_tokens,
        Need.LAUNCH_MACHINES: _launch_machines,
        Need.DESCRIBE_MACHINES: _describe_machines,
        Need.TERMINATE_MACHINES: _terminate_machines,
        Need.STOP_MACHINES: _stop_machines,
        Need.READ_CONSOLES: _read_consoles,
        Need.ASK_SSM: _ask_ssm,
        Need.SEND_COMMANDS: _send_commands,
        Need.READ_RESULTS: _read_results,
        Need.READ_PACKAGES: _read_packages,
        Need.WRITE_HANDOFF: _write_handoff,
        Need.REMOVE_HANDOFF: _remove_handoff,
        Need.SET_SCHEDULES: _set_schedules,
        Need.REMOVE_SCHEDULES: _remove_schedules,
        Need.NOTIFY: _notify,
        Need.PUT_METRICS: _put_metrics,
        Need.KNOW_PRICES: _know_prices,
        Need.READ_LEDGER: _read_ledger,
        Need.KEEP_PAGES: _keep_pages,
        Need.READ_WEBHOOKS: _read_webhooks,
        Need.TELL_LATER: _tell_later,
        Need.ASK_EXECUTIONS: _ask_executions,
    }
)
