"""CloudFormation and DynamoDB: tables that may be deleted with their stack."""

from datetime import UTC, datetime
from typing import Any, cast

import boto3
import pytest
from botocore.stub import Stubber

from runctl.aws.table_protection import unprotect_tables

STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/runctl/1"


def client_of(service: str) -> Any:
    """A client of moto, or for answers that are written down."""
    return cast("Any", boto3).client(service, region_name="us-east-1")


def a_resource(kind: str, name: str, status: str = "CREATE_COMPLETE") -> dict[str, Any]:
    """A resource of the stack as CloudFormation lists it."""
    at = datetime(2026, 1, 31, tzinfo=UTC)
    return {
        "LogicalResourceId": name,
        "PhysicalResourceId": name,
        "ResourceType": kind,
        "LastUpdatedTimestamp": at,
        "ResourceStatus": status,
    }


def unprotect(dynamodb: Any, *resources: dict[str, Any]) -> None:
    """Unprotect the tables of a stack that has these resources, and no outputs."""
    cloudformation = client_of("cloudformation")
    with Stubber(cloudformation) as stubber:
        stubber.add_response(
            "list_stack_resources", {"StackResourceSummaries": list(resources)}, expected_params={"StackName": STACK}
        )
        unprotect_tables(cloudformation, dynamodb, STACK)


@pytest.fixture
def dynamodb(aws: None) -> Any:
    """DynamoDB with a protected table."""
    client = client_of("dynamodb")
    client.create_table(
        TableName="runs",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=True,
    )
    return client


def test_tables_of_a_stack_without_outputs_may_be_deleted(dynamodb: Any) -> None:
    unprotect(dynamodb, a_resource("AWS::SQS::Queue", "queue"), a_resource("AWS::DynamoDB::Table", "runs"))

    assert dynamodb.describe_table(TableName="runs")["Table"]["DeletionProtectionEnabled"] is False


def test_a_table_that_is_gone_is_fine(dynamodb: Any) -> None:
    unprotect(
        dynamodb,
        a_resource("AWS::DynamoDB::Table", "gone"),
        a_resource("AWS::DynamoDB::Table", "deleted", "DELETE_COMPLETE"),
        a_resource("AWS::DynamoDB::Table", "runs", "DELETE_FAILED"),
    )

    assert dynamodb.describe_table(TableName="runs")["Table"]["DeletionProtectionEnabled"] is False
