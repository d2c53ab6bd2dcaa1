"""Source of the functions that the tests deploy, and the template that deploys them."""

from typing import Any, Final

SOURCE: Final = '''\
import json
import os
import sys
import time

import boto3

calls = {}


class CapacityUnavailable(Exception):
    """An error with a name of its own."""


def echo(event, context):
    return event


def fail(event, context):
    raise CapacityUnavailable("m5.large is nowhere to be had")


def fail_until(event, context):
    """Fails as often as it is told; calls under one key are counted, in one environment."""
    key = event["key"]
    calls[key] = calls.get(key, 0) + 1
    if calls[key] <= event["failures"]:
        raise CapacityUnavailable(f"call {calls[key]}")
    return calls[key]


def hold(event, context):
    return "handed over"


def hold_a_while(event, context):
    time.sleep(0.3)


def answer_at_once(event, context):
    """Answers its own token before it returns."""
    boto3.client("stepfunctions").send_task_success(taskToken=event["token"], output=json.dumps("at once"))
    time.sleep(0.2)


def tell(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["TOLD_QUEUE_URL"], MessageBody=json.dumps(event))


def sleep(event, context):
    print("sleeping")
    time.sleep(event["seconds"])
    return context.get_remaining_time_in_millis()


def overreach(event, context):
    boto3.client("dynamodb").list_tables()


def leave(event, context):
    os._exit(1)


def facts(event, context):
    print("a line", file=sys.stderr)
    return {
        "pid": os.getpid(),
        "variables": dict(os.environ),
        "name": context.function_name,
        "request_id": context.aws_request_id,
        "arn": context.invoked_function_arn,
    }
'''

HANDLERS: Final = (
    "echo",
    "fail",
    "fail_until",
    "hold",
    "hold_a_while",
    "answer_at_once",
    "tell",
    "sleep",
    "leave",
    "facts",
    "overreach",
)
_SHORT_LIVED: Final = {"sleep": 1}
QUEUES: Final = ("told", "failed", "undelivered", "statuses")


def _function(handler: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": {"S3Bucket": {"Ref": "AssetBucket"}, "S3Key": "code.zip"},
            "Handler": f"functions.{handler}",
            "Runtime": "python3.12",
            "Timeout": _SHORT_LIVED.get(handler, 10),
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Environment": {"Variables": {"TOLD_QUEUE_URL": {"Ref": "Told"}}},
        },
    }


def _title(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _allow(action: str, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


_TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}],
}

TEMPLATE: Final[dict[str, Any]] = {
    "Parameters": {"AssetBucket": {"Type": "String"}},
    "Resources": {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": _TRUST,
                "Policies": [
                    {
                        "PolicyName": "what-the-functions-do",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [
                                *(
                                    _allow("sqs:SendMessage", {"Fn::GetAtt": [name, "Arn"]})
                                    for name in ("Told", "Failed", "Undelivered")
                                ),
                                _allow("lambda:InvokeFunction", "*"),
                                _allow("states:SendTaskSuccess", "arn:aws:states:us-east-1:*:stateMachine:machine-*"),
                            ],
                        },
                    }
                ],
            },
        },
        "MachineRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": _TRUST,
                "Policies": [
                    {
                        "PolicyName": "what-a-machine-does",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [
                                _allow("s3:PutObject", {"Fn::Sub": "${Bucket.Arn}/runs/${!aws:userid}/*"}),
                                _allow(
                                    "events:PutEvents",
                                    "*",
                                    Condition={"StringEquals": {"events:source": "test.machine"}},
                                ),
                                _allow("s3:GetObject", {"Fn::Sub": "${Bucket.Arn}/runs/*"}),
                                _allow(
                                    "cloudwatch:PutMetricData",
                                    "*",
                                    Condition={"StringEquals": {"cloudwatch:namespace": "test"}},
                                ),
                                _allow("ssm:GetParameter", "arn:aws:ssm:us-east-1:123456789012:parameter/allowed/*"),
                                _allow(
                                    "secretsmanager:GetSecretValue",
                                    "arn:aws:secretsmanager:us-east-1:123456789012:secret:allowed/*",
                                ),
                                _allow("ec2:DescribeInstances", "*"),
                                _allow("ssm:DescribeInstanceInformation", "*"),
                            ],
                        },
                    }
                ],
            },
        },
        "BucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {
                "Bucket": {"Ref": "Bucket"},
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Deny",
                            "Principal": {"AWS": "*"},
                            "Action": "s3:*",
                            "Resource": {"Fn::Sub": "${Bucket.Arn}/*"},
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        }
                    ],
                },
            },
        },
        **{_title(name): {"Type": "AWS::SQS::Queue"} for name in QUEUES},
        **{f"{_title(name)}Function": _function(name) for name in HANDLERS},
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            },
        },
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "LifecycleConfiguration": {
                    "Rules": [{"Id": "old", "Status": "Enabled", "Prefix": "handoff/", "ExpirationInDays": 31}]
                }
            },
        },
        "Logs": {"Type": "AWS::Logs::LogGroup"},
        "Profile": {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [{"Ref": "MachineRole"}]}},
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "DefinitionString": '{"StartAt": "Only", "States": {"Only": {"Type": "Succeed"}}}',
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "LoggingConfiguration": {
                    "Level": "ERROR",
                    "IncludeExecutionData": False,
                    "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": ["Logs", "Arn"]}}}],
                },
            },
        },
        "FailConfig": {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": {"Ref": "FailFunction"},
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 1,
                "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["Failed", "Arn"]}}},
            },
        },
        "QueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Statuses"}, {"Ref": "Undelivered"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        _allow("sqs:SendMessage", "*", Principal={"Service": "events.amazonaws.com"}),
                    ],
                },
            },
        },
        "FailPermission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "FailFunction"},
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": ["FailRule", "Arn"]},
            },
        },
        "StatusRule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": {
                    "source": ["aws.states"],
                    "detail-type": ["Step Functions Execution Status Change"],
                    "detail": {"status": ["FAILED", "TIMED_OUT", "ABORTED"]},
                },
                "Targets": [{"Id": "queue", "Arn": {"Fn::GetAtt": ["Statuses", "Arn"]}}],
            },
        },
        "FailRule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": {"source": ["test.fail"]},
                "Targets": [
                    {
                        "Id": "function",
                        "Arn": {"Fn::GetAtt": ["FailFunction", "Arn"]},
                        "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["Undelivered", "Arn"]}},
                    }
                ],
            },
        },
    },
    "Outputs": {
        "RoleArn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}},
        "MachineRoleArn": {"Value": {"Fn::GetAtt": ["MachineRole", "Arn"]}},
        "TableName": {"Value": {"Ref": "Table"}},
        "ProfileName": {"Value": {"Ref": "Profile"}},
        "BucketName": {"Value": {"Ref": "Bucket"}},
        **{name: {"Value": {"Ref": _title(name)}} for name in QUEUES},
        **{f"{_title(name)}Arn": {"Value": {"Fn::GetAtt": [f"{_title(name)}Function", "Arn"]}} for name in HANDLERS},
    },
}


def output_of(handler: str) -> str:
    """The output that tells the ARN of a handler's function."""
    return f"{_title(handler)}Arn"
