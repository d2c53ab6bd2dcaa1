"""What a machine is launched with: role, profile, log group, launch template."""

import re
from typing import Final

from aws_cdk import ArnFormat, Fn, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from runctl.model.keys import (
    CODE_PREFIX,
    HANDOFF_PREFIX,
    PACKAGES_PREFIX,
    RUNS_PREFIX,
    SECRET_PARAMETERS_PREFIX,
    SECRETS_PREFIX,
)
from runctl.model.names import AGENT_EVENT_SOURCE
from runctl.model.run import DEFAULT_DISK_GIB
from stacks.asset_keys import AssetKeys
from stacks.constructs.access import allow
from stacks.constructs.identity import Names

USER_DATA_LIMIT: Final = 16 * 1024
"""Bytes before base64 (EC2 User Guide, "Run commands when you launch an EC2 instance with user data input")."""

_ROOT_DEVICE: Final = "/dev/xvda"
"""Root device of every Amazon Linux image (EC2 User Guide, "Device names for volumes on Amazon EC2 instances")."""

_PLACEHOLDER: Final = re.compile("@[A-Z][A-Z0-9_]*@")

_USERID: Final = "${aws:userid}"
"""IAM's variable, not CloudFormation's: for an instance profile `<role id>:<instance id>`."""


class Machine(Construct):
    """The launch template `CreateFleet` names, and all that stands in it but the pools."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Names,
        bucket: s3.Bucket,
        bus: events.EventBus,
        asset_bucket: str,
        asset_keys: AssetKeys,
        security_group_id: str,
        profile_name: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=names.machine_log_group,
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
            description="What the training and the agent beside it may do on a machine of runctl.",
        )
        agent_object = f"{asset_bucket}/{asset_keys.agent_key}"
        self.statements = self._statements(names, bucket.bucket_arn, bus.event_bus_arn, agent_object)
        """What the agent and the training may do, in any role."""
        for statement in self.statements:
            self.role.add_to_policy(statement)
        self.profile = iam.CfnInstanceProfile(
            self, "Profile", instance_profile_name=profile_name, roles=[self.role.role_name]
        )
        self.launch_template = ec2.CfnLaunchTemplate(
            self,
            "LaunchTemplate",
            launch_template_data=self._launch_template_data(
                _user_data(
                    asset_keys.bootstrap,
                    {
                        "@ASSET_BUCKET@": asset_bucket,
                        "@AGENT_KEY@": asset_keys.agent_key,
                        "@AGENT_SHA256@": asset_keys.agent_sha256,
                        "@BUS_NAME@": bus.event_bus_name,
                        "@BUCKET@": bucket.bucket_name,
                        "@MACHINE_ROLE_ID@": self.role.role_id,
                    },
                ),
                security_group_id,
            ),
        )

    def _statements(self, names: Names, bucket_arn: str, bus_arn: str, agent_object: str) -> list[iam.PolicyStatement]:
        own = f"{bucket_arn}/{RUNS_PREFIX}*/attempts/*/{_USERID}/*"
        stack = Stack.of(self)
        return [
            allow("s3:GetObject", on=f"{bucket_arn}/{HANDOFF_PREFIX}{_USERID}/*"),
            # Deletion is for older checkpoints beyond those that are kept.
            allow("s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject", on=own),
            # For a later attempt of its run, which is handed links: no machine reads here.
            allow("s3:PutObject", "s3:AbortMultipartUpload", on=f"{bucket_arn}/{PACKAGES_PREFIX}{_USERID}/*"),
            allow("s3:GetObject", on=f"{bucket_arn}/{CODE_PREFIX}*"),
            allow("s3:GetObject", on=f"arn:{stack.partition}:s3:::{agent_object}"),
            allow("events:PutEvents", on=bus_arn, when={"StringEquals": {"events:source": AGENT_EVENT_SOURCE}}),
            # Reading is for an agent that is started again: only the stream knows whether its last batch arrived.
            allow("logs:CreateLogStream", "logs:PutLogEvents", "logs:GetLogEvents", on=self.log_group.log_group_arn),
            # Never SendTaskSuccess or SendTaskFailure: a machine reports, the controller concludes.
            allow("states:SendTaskHeartbeat", on=names.state_machine_arn),
            # Secrets of trainings, by name: nothing else of the account's. AWS's own keys, `aws/ssm` and
            # `aws/secretsmanager`, decrypt for whoever may read (AWS KMS Developer Guide, "AWS managed keys").
            allow(
                "ssm:GetParameter", on=stack.format_arn(service="ssm", resource=f"parameter{SECRET_PARAMETERS_PREFIX}*")
            ),
            allow(
                "secretsmanager:GetSecretValue",
                on=stack.format_arn(
                    service="secretsmanager",
                    resource="secret",
                    resource_name=f"{SECRETS_PREFIX}*",
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                ),
            ),
            *_what_the_ssm_agent_needs(),
        ]

    def _launch_template_data(
        self, user_data: str, security_group_id: str
    ) -> ec2.CfnLaunchTemplate.LaunchTemplateDataProperty:
        """No image and no type: the request names them, one a pool, and tags all that it makes."""
        template = ec2.CfnLaunchTemplate
        return template.LaunchTemplateDataProperty(
            iam_instance_profile=template.IamInstanceProfileProperty(arn=self.profile.attr_arn),
            # A machine that ends itself is gone, and is paid for no longer.
            instance_initiated_shutdown_behavior="terminate",
            metadata_options=template.MetadataOptionsProperty(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,
                instance_metadata_tags="enabled",
            ),
            block_device_mappings=[
                template.BlockDeviceMappingProperty(
                    device_name=_ROOT_DEVICE,
                    ebs=template.EbsProperty(
                        volume_type="gp3",
                        volume_size=DEFAULT_DISK_GIB,
                        encrypted=True,
                        delete_on_termination=True,
                    ),
                )
            ],
            security_group_ids=[security_group_id],
            user_data=user_data,
        )


def _user_data(bootstrap: str, values: dict[str, str]) -> str:
    """Fill the placeholders in and encode as EC2 wants it. Raises ValueError when one is left that has no value."""
    unknown = set(_PLACEHOLDER.findall(bootstrap)) - set(values)
    if unknown:
        raise ValueError(f"the bootstrap names {', '.join(sorted(unknown))}, which the stack has no value for")
    return Fn.base64(_PLACEHOLDER.sub(lambda match: values[match[0]], bootstrap))


def _what_the_ssm_agent_needs() -> list[iam.PolicyStatement]:
    """For Run Command and Session Manager, out of AmazonSSMManagedInstanceCore (AWS Managed Policy Reference).

    That policy also lets a machine read every parameter of the account (`ssm:GetParameter` on `*`), which no
    training of ours needs.
    """
    return [
        allow(
            "ssm:UpdateInstanceInformation",
            "ssm:ListAssociations",
            "ssm:ListInstanceAssociations",
            "ssm:UpdateInstanceAssociationStatus",
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
            "ec2messages:AcknowledgeMessage",
            "ec2messages:DeleteMessage",
            "ec2messages:FailMessage",
            "ec2messages:GetEndpoint",
            "ec2messages:GetMessages",
            "ec2messages:SendReply",
            on="*",
        )
    ]
