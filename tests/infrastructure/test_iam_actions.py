"""The table of calls and permissions against our sources, the synthesized policies and AWS's own reference."""

import re

import pytest

from runctl.model.names import Function
from stacks.constructs.identity import id_of
from tests.infrastructure.deployed_template import ACCOUNT, REGION, DeployedTemplate
from tests.infrastructure.iam_table import (
    Grant,
    Row,
    calls_in_sources,
    is_of_type,
    known_callers,
    log_group_of,
    resource_types,
    rows,
    rows_of,
    rows_of_machine,
)
from tests.infrastructure.policies import as_list, statements_of

BESIDE_THE_REFERENCE = {
    "states:SendTaskSuccess": "is granted on the state machine whose task waits: the reference lists no type, AWS's "
    "refusals name the state machine, and the CDK's authors tried it on AWS (aws-cdk, pull request 8486)",
    "states:SendTaskFailure": "as SendTaskSuccess",
    "states:SendTaskHeartbeat": "as SendTaskSuccess",
}
"""Actions that are granted on a resource which the reference does not list, and how we know."""

EVERYTHING_ALL_THE_SAME = {
    "cloudwatch:PutMetricData": "metrics that are put have no resource; a condition names the namespace",
    "ssm:ListInstanceAssociations": "as AmazonSSMManagedInstanceCore grants it: no instance has a name beforehand",
    "ssm:UpdateInstanceAssociationStatus": "as AmazonSSMManagedInstanceCore grants it",
    "ssm:UpdateInstanceInformation": "as AmazonSSMManagedInstanceCore grants it",
}
"""Actions that are granted on `*` though the reference lists a type."""

EXAMPLES = {
    "<StorageBucket.Arn>": "arn:aws:s3:::runctl",
    "<DeploymentBucket>": "arn:aws:s3:::runctl-deployment",
    "<AgentArchive>": "arn:aws:s3:::assets/agent.gz",
    "<StorageRuns.Arn>": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/runs",
    "<StorageBudgets.Arn>": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/budgets",
    "<Bus.Arn>": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/runctl",
    "<NotificationsTopic>": f"arn:aws:sns:{REGION}:{ACCOUNT}:runctl",
    "<MachineLogs.Arn>": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:machines:log-stream:any",
    "<FunctionLogs.Arn>": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:function:log-stream:any",
    "<DeadLettersQueue.Arn>": f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead-letters",
    "<MachineRole.Arn>": f"arn:aws:iam::{ACCOUNT}:role/machine",
    "<OneTimeSchedulesRole.Arn>": f"arn:aws:iam::{ACCOUNT}:role/schedules",
    "<MachineLaunchTemplate>": "lt-0123456789abcdef0",
    "<NetworkMachineSecurityGroup.GroupId>": "sg-0123456789abcdef0",
}
"""What the template's references become."""

AGENT_ARCHIVE = re.compile(r"arn:aws:s3:::cdk-hnb659fds-assets-\d+-[a-z0-9-]+/[0-9a-f]{64}\.gz")


def granted(template: DeployedTemplate, role: str) -> set[Grant]:
    """All that the policies of a role allow."""
    return {
        Grant.of(
            action, "<AgentArchive>" if AGENT_ARCHIVE.fullmatch(resource) else resource, statement.get("Condition")
        )
        for statement in statements_of(template, role)
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }


def own_logs(grants: frozenset[Grant], function: Function) -> set[Grant]:
    """The grants of `every function`, with this function's log group."""
    return {
        Grant(grant.action, grant.resource.replace("<FunctionLogs.Arn>", log_group_of(function)), grant.condition)
        for grant in grants
    }


def arn_of(resource: str) -> str:
    """An ARN such as the deployment makes."""
    for placeholder, example in EXAMPLES.items():
        resource = resource.replace(placeholder, example)
    return resource


def test_every_call_in_the_sources_has_a_row() -> None:
    listed = {row.call for row in rows()}
    missing = {call: sorted(files) for call, files in calls_in_sources().items() if call not in listed}

    assert missing == {}, "say in tests/infrastructure/iam_actions.toml what these calls need"


def test_no_row_outlives_its_call() -> None:
    stale = {row.call for row in rows() if row.call is not None} - set(calls_in_sources())

    assert stale == set(), "nothing in the sources makes these calls any more"


def test_rows_name_callers_that_there_are() -> None:
    assert {name for row in rows() for name in row.by} <= known_callers()


@pytest.mark.parametrize("function", Function)
def test_a_function_may_do_what_its_calls_need_and_nothing_else(template: DeployedTemplate, function: Function) -> None:
    allowed = granted(template, f"Functions{id_of(function)}Role")
    needed: set[Grant] = set()
    beside: set[Grant] = set()
    for row in rows_of(function):
        needed |= own_logs(row.needed, function)
        beside |= row.granted_too

    assert needed - allowed == set(), "the role lacks this"
    assert allowed - needed - beside == set(), "no call needs this"
    assert beside <= allowed, "this is not granted any more"


def test_a_machine_may_do_what_its_calls_need_and_nothing_else(template: DeployedTemplate) -> None:
    allowed = granted(template, "MachineRole")
    needed = {grant for row in rows_of_machine() for grant in row.needed}

    assert needed - allowed == set(), "the role lacks this"
    assert allowed - needed == set(), "no call needs this"


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.call or 'service'} by {' and '.join(row.by)}")
def test_aws_knows_the_actions_of_a_row_and_its_resources(row: Row) -> None:
    for grant in row.needed:
        types = resource_types(grant.action)

        assert types is not None, f"{grant.action} does not exist"
        if grant.resource == "*":
            assert not types or grant.action in EVERYTHING_ALL_THE_SAME, f"{grant.action} can be narrowed to {types}"
        elif grant.action not in BESIDE_THE_REFERENCE:
            assert is_of_type(grant.action, arn_of(grant.resource)), f"{grant.action} knows {types}: {grant.resource}"


def test_exceptions_from_the_reference_are_needed() -> None:
    used = {grant.action for row in rows() for grant in row.needed}

    assert set(BESIDE_THE_REFERENCE) <= {action for action in used if resource_types(action) == ()}
    assert set(EVERYTHING_ALL_THE_SAME) <= {action for action in used if resource_types(action)}
