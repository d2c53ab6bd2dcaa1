"""The bill shows what belongs to a deployment: all that CloudFormation can tag carries the stack's tag."""

from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from tests.infrastructure.deployed_template import REGION, DeployedTemplate

EVERYTHING = {"AwsBudgetUsd": "100", "Dashboard": "true", "NotifyEmail": "ada@example.org"}

NOT_TAGGABLE = {
    "AWS::EC2::LaunchTemplate": "costs nothing; what is launched from it is tagged by the launching call",
    "AWS::EC2::Route": "a part of its table",
    "AWS::EC2::SubnetRouteTableAssociation": "a part of its table",
    "AWS::EC2::VPCGatewayAttachment": "a part of its network",
    "AWS::IAM::InstanceProfile": "costs nothing",
    "AWS::IAM::Policy": "a part of its role",
    "AWS::Lambda::EventInvokeConfig": "a part of its function",
    "AWS::Lambda::Permission": "a part of its function",
    "AWS::S3::BucketPolicy": "a part of its bucket",
    "AWS::SNS::Subscription": "a part of its topic",
    "AWS::SNS::TopicPolicy": "a part of its topic",
    "AWS::SQS::QueuePolicy": "a part of its queue",
    "AWS::Scheduler::Schedule": "its group is tagged",
}


def _tags(resource: dict[str, Any], name: str) -> dict[str, str]:
    found: Any = resource.get(name, {})
    return found if isinstance(found, dict) else {each["Key"]: each["Value"] for each in found}


def _tag_property(kind: str) -> str | None:
    """The property that holds a type's tags, as AWS's own schema says; None for a type without."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
    tagging: dict[str, Any] = schema.get("tagging", {})
    return str(tagging["tagProperty"]).removeprefix("/properties/") if tagging.get("taggable") else None


@pytest.fixture
def whole(deploy: Any) -> DeployedTemplate:
    """With all that is optional."""
    made: DeployedTemplate = deploy(**EVERYTHING)
    return made


def test_all_that_can_be_tagged_carries_the_stacks_tag(whole: DeployedTemplate) -> None:
    untagged = [
        logical_id
        for kind in {each["Type"] for each in whole.body["Resources"].values()}
        if (name := _tag_property(kind)) is not None
        for logical_id, resource in whole.of_type(kind).items()
        if _tags(resource, name).get("runctl:stack") != "runctl"
    ]

    assert untagged == []


def test_what_cannot_be_tagged_is_known_with_a_reason(whole: DeployedTemplate) -> None:
    kinds = {each["Type"] for each in whole.body["Resources"].values()}

    assert {kind for kind in kinds if _tag_property(kind) is None} == set(NOT_TAGGABLE)
