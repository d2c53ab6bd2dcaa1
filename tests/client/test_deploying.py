"""Deploying: what is left when it comes to nothing."""

from datetime import UTC, datetime
from typing import Any, cast

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from runctl.assembly import Assembly
from runctl.aws.asset_bucket import asset_bucket_name
from runctl.aws.identity import Identity
from runctl.client.clients import Clients
from runctl.client.deploying import Choices, Deploying, DeploymentPlan, Site
from runctl.errors import DeploymentFailed

ACCOUNT = "123456789012"
BUCKET = asset_bucket_name(ACCOUNT, "us-east-1")
STACK = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/runctl/1"


@mock_aws
def test_a_plan_that_was_declined_leaves_its_new_bucket_empty_for_the_next_one() -> None:
    """S3 gives the name of a deleted bucket out again only after an hour or two (S3 User Guide, "Deleting a general
    purpose bucket"): who says no and then yes could not deploy."""
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    s3 = cast("Any", session).client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="archive.zip", Body=b"archive")
    plan = DeploymentPlan(
        identity=Identity(account=ACCOUNT, arn=f"arn:aws:iam::{ACCOUNT}:root"),
        region="us-east-1",
        bucket=BUCKET,
        made_bucket=True,
        stack=None,
        change_set=None,
        parameters={},
    )

    Deploying(Clients(session), cast("Assembly", None), Site()).discard(plan)

    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


class StubbedClients:
    """CloudFormation as it is written down, and moto for the rest."""

    region = "us-east-1"

    def __init__(self, cloudformation: Any) -> None:
        self._cloudformation = cloudformation

    def get(self, service: str, config: Any = None) -> Any:
        """Answer a service's client."""
        return self._cloudformation if service == "cloudformation" else client_of(service)


def client_of(service: str) -> Any:
    """A client in the Region of these tests."""
    return cast("Any", boto3.Session("testing", "testing", region_name="us-east-1")).client(service)


def a_stack(status: str) -> dict[str, Any]:
    """The stack as CloudFormation describes it; its creation failed, so that there are no outputs."""
    made = datetime(2026, 1, 31, tzinfo=UTC)
    return {"Stacks": [{"StackName": "runctl", "StackId": STACK, "CreationTime": made, "StackStatus": status}]}


@mock_aws
def test_protected_tables_of_a_creation_that_failed_do_not_stand_in_the_next_ones_way() -> None:
    """CloudFormation could not roll them back: DynamoDB refuses to delete a protected table (DynamoDB Developer Guide,
    "Using deletion protection")."""
    dynamodb = client_of("dynamodb")
    dynamodb.create_table(
        TableName="runs",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=True,
    )
    table = {
        "LogicalResourceId": "Runs",
        "PhysicalResourceId": "runs",
        "ResourceType": "AWS::DynamoDB::Table",
        "LastUpdatedTimestamp": datetime(2026, 1, 31, tzinfo=UTC),
        "ResourceStatus": "DELETE_FAILED",
    }
    cloudformation = client_of("cloudformation")
    with Stubber(cloudformation) as stubber:
        stubber.add_response("describe_stacks", a_stack("ROLLBACK_FAILED"))
        stubber.add_response("list_stack_resources", {"StackResourceSummaries": [table]})
        stubber.add_response("describe_stack_events", {"StackEvents": []})
        stubber.add_response("delete_stack", {})
        stubber.add_response("describe_stacks", a_stack("DELETE_FAILED"))  # by something else: the test ends here
        stubber.add_response("describe_stack_events", {"StackEvents": []})
        stubber.add_response("describe_stack_events", {"StackEvents": []})
        deploying = Deploying(cast("Clients", StubbedClients(cloudformation)), cast("Assembly", None), Site())
        with pytest.raises(DeploymentFailed):
            deploying.plan(Choices())
        stubber.assert_no_pending_responses()

    assert dynamodb.describe_table(TableName="runs")["Table"]["DeletionProtectionEnabled"] is False
