"""Small templates: one that deploys, and ones that do not."""

from typing import Any, Final

PARAMETERS: Final[dict[str, Any]] = {
    "AssetBucket": {"Type": "String", "Default": ""},
    "NotifyEmail": {"Type": "String", "Default": ""},
    "DeletionProtection": {"Type": "String", "Default": "true"},
}

SMALL: Final[dict[str, Any]] = {
    "Parameters": PARAMETERS,
    "Resources": {
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Kept": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "NotifyEmail"}}},
    },
}


WITH_TABLE: Final[dict[str, Any]] = {
    **SMALL,
    "Resources": {
        **SMALL["Resources"],
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
                "DeletionProtectionEnabled": True,
            },
        },
    },
}
"""The same with a table that is protected from deletion."""


def with_broken_function(template: dict[str, Any]) -> dict[str, Any]:
    """Add a function whose archive is not in the bucket, made after everything else."""
    function = {
        "Type": "AWS::Lambda::Function",
        "DependsOn": sorted(template["Resources"]),
        "Properties": {
            "Role": "arn:aws:iam::123456789012:role/none",
            "Runtime": "python3.13",
            "Handler": "code.handler",
            "Code": {"S3Bucket": {"Ref": "AssetBucket"}, "S3Key": "missing.zip"},
        },
    }
    return {**template, "Resources": {**template["Resources"], "Broken": function}}
