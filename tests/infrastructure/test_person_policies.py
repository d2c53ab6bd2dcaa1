"""The policies that people are given, against what the command line calls, what CloudFormation does in the deployer's
name, and AWS's own reference. Two of them are tried on the local target, in `tests/local/deployment`."""

import json
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from stacks.assembly.layout import REPOSITORY
from tests.infrastructure.deployed_template import ACCOUNT, REGION, DeployedTemplate
from tests.infrastructure.iam_table import PERSON, Grant, arn_formats, known_actions, resource_types, rows
from tests.infrastructure.policies import as_list

POLICIES = ("admin", "user", "reader")

NAMES = {
    "<StorageBucket.Arn>": "arn:aws:s3:::runctl-storagebucket-abc",
    "<DeploymentBucket>": f"arn:aws:s3:::runctl-assets-{ACCOUNT}-{REGION}",
    "<StorageRuns.Arn>": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/runctl-StorageRuns-ABC",
    "<StorageBudgets.Arn>": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/runctl-StorageBudgets-ABC",
    "<DeadLettersQueue.Arn>": f"arn:aws:sqs:{REGION}:{ACCOUNT}:runctl-DeadLettersQueue-ABC",
    "<NotificationsTopic>": f"arn:aws:sns:{REGION}:{ACCOUNT}:runctl-NotificationsTopic-ABC",
    "<MachineLogs.Arn>": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/runctl/machines:log-stream:r-1/0001",
}
"""What CloudFormation makes of the template's references."""

NEEDS_NO_PERMISSION = {"sts:GetCallerIdentity"}

UNUSED_FEATURES = {
    "kms:*": "no key of our own",
    "kinesis:*": "no stream behind the tables",
    "iam:CreateServiceLinkedRole": "DynamoDB's, for capacity that scales",
    "ec2:*SecurityGroupIngress": "nothing comes in",
    "ec2:UpdateSecurityGroupRuleDescriptions*": "rules are replaced",
    "ec2:*SubnetCidrBlock": "no IPv6",
    "ec2:ReplaceRouteTableAssociation": "a subnet keeps its table",
    "ec2:CreateVpcEncryptionControl": "a feature that is paid for",
    "ec2:ModifyVpcTenancy": "shared hosts",
    "ec2:*VpnGateway": "an internet gateway",
    "vpc-lattice:*": "gateway endpoints only",
    "vpce:*": "gateway endpoints only",
    "iam:*UserPolicy": "policies of roles only",
    "iam:*GroupPolicy": "policies of roles only",
    "iam:*RolePermissionsBoundary": "no boundary",
    "elasticfilesystem:*": "functions without a file system",
    "s3files:*": "functions without a file system",
    "firehose:*": "logs go nowhere else",
    "s3tables:*": "a bucket without tables",
}
"""What CloudFormation's resource types would need for features that the template does not use."""


@cache
def statements(policy: str) -> list[dict[str, Any]]:
    """Statements of a policy document."""
    document = json.loads((REPOSITORY / "docs" / "policies" / f"{policy}.json").read_text())
    found: list[dict[str, Any]] = document["Statement"]
    return found


def allows(policy: str, action: str, resource: str | None = None) -> bool:
    """Whether a statement allows the action, on the resource where one is given."""
    return any(
        fnmatchcase(action.lower(), pattern.lower())
        for statement in statements(policy)
        for pattern in as_list(statement["Action"])
        if resource is None or any(fnmatchcase(resource, each) for each in as_list(statement["Resource"]))
    )


@pytest.mark.parametrize("policy", ["user", "reader"])
def test_dead_letters_are_for_whoever_looks_after_the_stack(policy: str) -> None:
    queue = named("<DeadLettersQueue.Arn>")
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:runctl-observe_agent"

    assert allows("admin", "sqs:ReceiveMessage", queue)
    assert not any(allows(policy, f"sqs:{action}", queue) for action in ("ReceiveMessage", "DeleteMessage"))
    assert not allows(policy, "lambda:InvokeFunction", function)


def overlap(one: str, other: str) -> bool:
    """Whether some text fits both patterns; `*` stands for any text."""

    @cache
    def from_here(i: int, j: int) -> bool:
        if i == len(one) and j == len(other):
            return True
        if i < len(one) and one[i] == "*":
            return from_here(i + 1, j) or (j < len(other) and from_here(i, j + 1))
        if j < len(other) and other[j] == "*":
            return from_here(i, j + 1) or (i < len(one) and from_here(i + 1, j))
        return i < len(one) and j < len(other) and one[i] == other[j] and from_here(i + 1, j + 1)

    return from_here(0, 0)


def named(resource: str) -> str:
    """The resource as it is called in an account."""
    for placeholder, name in NAMES.items():
        resource = resource.replace(placeholder, name)
    return resource


def needed_by_people() -> list[Grant]:
    """All that the command line's own calls need."""
    grants = {grant for row in rows() if PERSON in row.by for grant in row.needed}
    return sorted(grants, key=lambda grant: (grant.action, grant.resource))


@pytest.mark.parametrize("grant", needed_by_people(), ids=lambda grant: f"{grant.action} on {grant.resource}")
def test_somebody_is_given_what_the_command_line_calls(grant: Grant) -> None:
    resource = named(grant.resource)

    assert grant.action in NEEDS_NO_PERMISSION or any(
        allows(policy, grant.action, resource) for policy in ("user", "admin")
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_every_action_of_a_policy_exists_and_knows_its_resources(policy: str) -> None:
    wrong: list[str] = []
    for statement in statements(policy):
        for pattern in as_list(statement["Action"]):
            actions = [action for action in known_actions(pattern.partition(":")[0]) if _fits(action, pattern)]
            fitting = [action for action in actions if _reaches(action, as_list(statement["Resource"]))]
            if not fitting or ("*" not in pattern and fitting != actions):
                wrong.append(f"{statement['Sid']}: {pattern}")

    assert wrong == []


def _fits(action: str, pattern: str) -> bool:
    return fnmatchcase(action.lower(), pattern.lower())


def _reaches(action: str, resources: list[str]) -> bool:
    """Whether one of the resources can be what the action is about."""
    if "*" in resources:
        return True
    if not resource_types(action):
        return False
    return any(overlap(format_, resource) for format_ in arn_formats(action) for resource in resources)


def test_whoever_deploys_may_do_what_cloudformation_does_with_each_resource(template: DeployedTemplate) -> None:
    lacking: dict[str, set[str]] = {}
    for kind in {resource["Type"] for resource in template.body["Resources"].values()}:
        handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema["handlers"]
        steps = [handlers[name]["permissions"] for name in ("create", "read", "update", "delete") if name in handlers]
        needed = {action for step in steps for action in step}
        missing = {action for action in needed if not allows("admin", action)}
        if unexplained := {a for a in missing if not any(_fits(a, pattern) for pattern in UNUSED_FEATURES)}:
            lacking[kind] = unexplained

    assert lacking == {}


def test_a_policy_with_an_action_that_does_not_exist_would_be_noticed() -> None:
    assert not [action for action in known_actions("s3") if _fits(action, "s3:GetObjekt")]
    assert not _reaches("s3:GetObject", ["arn:aws:dynamodb:*:*:table/runctl-*"])
    assert _reaches("logs:GetLogEvents", ["arn:aws:logs:*:*:log-group:/runctl/machines:*"])
