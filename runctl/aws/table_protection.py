"""DynamoDB refuses to delete a protected table, to CloudFormation too: when it rolls a failed creation back."""

from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_dynamodb import DynamoDBClient

_TABLE: Final = "AWS::DynamoDB::Table"


def unprotect_tables(cloudformation: "CloudFormationClient", dynamodb: "DynamoDBClient", stack_id: str) -> None:
    """Let all tables of a stack be deleted (DynamoDB Developer Guide, "Using deletion protection").

    They are found among its resources, for a stack whose creation failed has no outputs. Those that are gone are fine.
    """
    with aws_errors():
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id):
            for summary in page["StackResourceSummaries"]:
                name = summary.get("PhysicalResourceId")
                if summary["ResourceType"] == _TABLE and name and summary["ResourceStatus"] != "DELETE_COMPLETE":
                    _unprotect(dynamodb, name)


def _unprotect(client: "DynamoDBClient", name: str) -> None:
    try:
        if not client.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled", False):
            return
        client.update_table(TableName=name, DeletionProtectionEnabled=False)
        client.get_waiter("table_exists").wait(TableName=name)
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
