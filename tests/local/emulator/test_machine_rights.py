"""Calls about machines need their action on each resource, under its conditions, and the right to pass a role.

What AWS does: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2" and "... for AWS
Systems Manager"; EC2 User Guide, "EC2 Fleet prerequisites"; IAM User Guide, "Grant a user permissions to pass a role to
an AWS service"; EventBridge Scheduler User Guide, "Identity-based policies for EventBridge Scheduler".
"""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from tests.local.callers import client_of_role
from tests.local.emulator.services import Services, wait_until

pytestmark = pytest.mark.local_cloud

ACCOUNT = "123456789012"
EC2 = f"arn:aws:ec2:us-east-1:{ACCOUNT}"
AL2023 = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
TRUSTED_BY_ALL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}],
}
LONG_GONE = "i-0123456789abcdef0"
RUN_TAG = [{"Key": "runctl:run", "Value": "one"}]
Statement = dict[str, Any]


def allow(action: str | list[str], resource: str | list[str], when: dict[str, Any] | None = None) -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **({"Condition": when} if when else {})}


class Workshop:
    """A launch template with a role to pass, and callers with policies of their own."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.ec2 = services.client("ec2")
        self.ssm = services.client("ssm")
        self._iam = services.client("iam")
        self._names: list[str] = []
        profile = f"passed-{uuid4().hex[:8]}"
        self.passed_role: str = self._iam.create_role(
            RoleName=profile, AssumeRolePolicyDocument=json.dumps(TRUSTED_BY_ALL)
        )["Role"]["Arn"]
        self._iam.create_instance_profile(InstanceProfileName=profile)
        self._iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=profile)
        self.template: str = self.ec2.create_launch_template(
            LaunchTemplateName=profile,
            LaunchTemplateData={
                "ImageId": AL2023,
                "InstanceType": "t3.micro",
                "IamInstanceProfile": {"Name": profile},
                "TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "stack", "Value": "test"}]}],
            },
        )["LaunchTemplate"]["LaunchTemplateId"]

    def rights(self) -> dict[str, Statement]:
        """What a launch needs, by name."""
        return {
            "fleet": allow("ec2:CreateFleet", [f"{EC2}:fleet/*", f"{EC2}:launch-template/{self.template}"]),
            "template": allow("ec2:RunInstances", f"{EC2}:launch-template/{self.template}"),
            "image": allow("ec2:RunInstances", "arn:aws:ec2:us-east-1::image/*"),
            "small": allow("ec2:RunInstances", f"{EC2}:instance/*", {"StringEquals": {"ec2:InstanceType": "t3.micro"}}),
            "network": allow(
                "ec2:RunInstances",
                [f"{EC2}:{kind}/*" for kind in ("network-interface", "subnet", "security-group", "volume")],
            ),
            "spot": allow("ec2:RunInstances", f"{EC2}:spot-instances-request/*"),
            "tags": allow(
                "ec2:CreateTags",
                f"{EC2}:instance/*",
                {"StringEquals": {"ec2:CreateAction": ["CreateFleet", "RunInstances"]}},
            ),
            "tags of volumes": allow("ec2:CreateTags", f"{EC2}:volume/*"),
            "tags of interfaces": allow("ec2:CreateTags", f"{EC2}:network-interface/*"),
            "role": allow(
                "iam:PassRole", self.passed_role, {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
            ),
        }

    def client(self, service: str, *statements: Statement) -> Any:
        """A client of somebody who may do this, and nothing else."""
        name = f"caller-{uuid4().hex[:8]}"
        arn = self._iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUSTED_BY_ALL))["Role"]["Arn"]
        if statements:
            document = {"Version": "2012-10-17", "Statement": list(statements)}
            self._iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(document))
        return client_of_role(self.services.environment, service, arn)

    def launch(self, ec2: Any, *, option: str = "on-demand", tags: list[dict[str, str]] | None = None) -> Any:
        """CreateFleet for one machine; the whole answer."""
        return ec2.create_fleet(
            Type="instant",
            LaunchTemplateConfigs=[
                {
                    "LaunchTemplateSpecification": {"LaunchTemplateId": self.template, "Version": "$Latest"},
                    "Overrides": [{"InstanceType": "t3.micro", "AvailabilityZone": "us-east-1a"}],
                }
            ],
            TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": option},
            TagSpecifications=[
                {"ResourceType": kind, "Tags": tags or RUN_TAG} for kind in ("instance", "volume", "network-interface")
            ],
        )

    def machine(self, tags: list[dict[str, str]]) -> str:
        """A machine with these tags, launched by the account's root."""
        return self.launch(self.ec2, tags=tags)["Instances"][0]["InstanceIds"][0]

    def close(self) -> None:
        """End every machine."""
        pages = self.ec2.get_paginator("describe_instances").paginate()
        ids = [each["InstanceId"] for page in pages for some in page["Reservations"] for each in some["Instances"]]
        if ids:
            self.ec2.terminate_instances(InstanceIds=ids)


@pytest.fixture(scope="module")
def workshop(services: Services) -> Iterator[Workshop]:
    """One for all tests of this file."""
    made = Workshop(services)
    yield made
    made.close()


@pytest.mark.parametrize("option", ["on-demand", "spot"])
def test_launch_with_all_that_it_needs_is_allowed(workshop: Workshop, option: str) -> None:
    answer = workshop.launch(workshop.client("ec2", *workshop.rights().values()), option=option)

    assert answer["Errors"] == []
    assert len(answer["Instances"][0]["InstanceIds"]) == 1


@pytest.mark.parametrize(
    ("missing", "action", "resource"),
    [
        ("template", "ec2:RunInstances", "launch-template/lt-"),
        ("image", "ec2:RunInstances", ":image/ami-"),
        ("small", "ec2:RunInstances", "instance/*"),
        ("network", "ec2:RunInstances", "network-interface/*"),
        ("spot", "ec2:RunInstances", "spot-instances-request/*"),
        ("tags", "ec2:CreateTags", "instance/*"),
        ("tags of volumes", "ec2:CreateTags", "volume/*"),
        ("tags of interfaces", "ec2:CreateTags", "network-interface/*"),
        ("role", "iam:PassRole", "role/passed-"),
    ],
)
def test_launch_that_lacks_one_right_launches_nothing_and_names_it(
    workshop: Workshop, missing: str, action: str, resource: str
) -> None:
    rights = workshop.rights()
    del rights[missing]

    answer = workshop.launch(workshop.client("ec2", *rights.values()), option="spot")

    (error,) = answer["Errors"]
    assert answer["Instances"] == []
    assert error["ErrorCode"] == "UnauthorizedOperation"
    assert f"perform: {action} on resource: " in error["ErrorMessage"]
    assert resource in error["ErrorMessage"]


def test_fleet_of_another_template_is_refused_as_a_whole(workshop: Workshop) -> None:
    rights = workshop.rights() | {"fleet": allow("ec2:CreateFleet", [f"{EC2}:fleet/*", f"{EC2}:launch-template/lt-1"])}

    with pytest.raises(ClientError, match=r"UnauthorizedOperation.*ec2:CreateFleet on resource: .*launch-template/"):
        workshop.launch(workshop.client("ec2", *rights.values()))


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("small", {"StringEquals": {"ec2:InstanceType": "t3.nano"}}),
        ("small", {"StringEquals": {"aws:RequestTag/runctl:run": "another"}}),
        ("small", {"ForAllValues:StringEquals": {"aws:TagKeys": ["another"]}}),
        ("tags", {"StringEquals": {"ec2:CreateAction": "CreateVolume"}}),
        ("role", {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}),
    ],
)
def test_condition_that_does_not_hold_is_no_right(workshop: Workshop, name: str, changed: dict[str, Any]) -> None:
    rights = workshop.rights()
    rights[name] = {**rights[name], "Condition": changed}

    (error,) = workshop.launch(workshop.client("ec2", *rights.values()))["Errors"]

    assert error["ErrorCode"] == "UnauthorizedOperation"


def test_denied_is_denied_whatever_else_is_allowed(workshop: Workshop) -> None:
    everything = allow("*", "*")
    denied = {"Effect": "Deny", "Action": "ec2:RunInstances", "Resource": f"{EC2}:subnet/*"}

    (error,) = workshop.launch(workshop.client("ec2", everything, denied))["Errors"]

    assert error["ErrorCode"] == "UnauthorizedOperation"


def test_run_instances_needs_the_same_rights(workshop: Workshop) -> None:
    rights = workshop.rights()
    request: Any = {
        "LaunchTemplate": {"LaunchTemplateId": workshop.template},
        "MinCount": 1,
        "MaxCount": 1,
        "TagSpecifications": [{"ResourceType": "instance", "Tags": RUN_TAG}],
    }

    launched = workshop.client("ec2", *rights.values()).run_instances(**request)
    del rights["role"]

    assert len(launched["Instances"]) == 1
    with pytest.raises(ClientError, match=r"UnauthorizedOperation.*iam:PassRole"):
        workshop.client("ec2", *rights.values()).run_instances(**request)


def test_only_machines_with_the_tag_are_terminated(workshop: Workshop) -> None:
    ours, strangers = workshop.machine(RUN_TAG), workshop.machine([{"Key": "Name", "Value": "other"}])
    tagged = {"Null": {"aws:ResourceTag/runctl:run": "false"}}
    ec2 = workshop.client("ec2", allow("ec2:TerminateInstances", f"{EC2}:instance/*", tagged))

    ec2.terminate_instances(InstanceIds=[ours])

    with pytest.raises(ClientError, match=r"UnauthorizedOperation.*ec2:TerminateInstances"):
        ec2.terminate_instances(InstanceIds=[strangers])
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.terminate_instances(InstanceIds=[LONG_GONE])
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        workshop.ec2.terminate_instances(InstanceIds=[LONG_GONE])


def test_tags_are_made_by_the_launch_and_not_afterwards(workshop: Workshop) -> None:
    stranger = workshop.machine([{"Key": "Name", "Value": "other"}])
    ec2 = workshop.client("ec2", *workshop.rights().values())
    taker = workshop.client("ec2", allow("ec2:CreateTags", f"{EC2}:instance/*"))

    with pytest.raises(ClientError, match=r"UnauthorizedOperation.*ec2:CreateTags"):
        ec2.create_tags(Resources=[stranger], Tags=RUN_TAG)
    taker.create_tags(Resources=[stranger], Tags=RUN_TAG)


def test_command_needs_its_document_and_each_machine(workshop: Workshop) -> None:
    ours, strangers = workshop.machine(RUN_TAG), workshop.machine([{"Key": "Name", "Value": "other"}])

    def are_online() -> bool | None:
        found = workshop.ssm.describe_instance_information(
            Filters=[{"Key": "InstanceIds", "Values": [ours, strangers]}]
        )["InstanceInformationList"]
        return len(found) == 2 or None

    wait_until(are_online, "both machines online", timeout_s=20.0)
    document = allow("ssm:SendCommand", "arn:aws:ssm:us-east-1::document/AWS-RunShellScript")
    machines = allow("ssm:SendCommand", f"{EC2}:instance/*", {"StringLike": {"ssm:resourceTag/runctl:run": "*"}})
    request: Any = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}}

    workshop.client("ssm", document, machines).send_command(InstanceIds=[ours], **request)

    for statements, instance_id, resource in (
        ((document, machines), strangers, f"instance/{strangers}"),
        ((machines,), ours, "document/AWS-RunShellScript"),
        ((document,), ours, f"instance/{ours}"),
    ):
        with pytest.raises(ClientError, match=f"AccessDeniedException.*ssm:SendCommand on resource: .*{resource}"):
            workshop.client("ssm", *statements).send_command(InstanceIds=[instance_id], **request)


def test_public_parameter_is_read_by_whom_its_arn_allows(workshop: Workshop) -> None:
    name = AL2023.removeprefix("resolve:ssm:")
    public = allow("ssm:GetParameter", "arn:aws:ssm:us-east-1::parameter/aws/service/*")
    own = allow("ssm:GetParameter", f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/*")

    found = workshop.client("ssm", public).get_parameter(Name=name)

    assert found["Parameter"]["Value"].startswith("ami-")
    with pytest.raises(ClientError, match="AccessDeniedException"):
        workshop.client("ssm", own).get_parameter(Name=name)


def test_schedule_is_made_by_whom_may_pass_its_role(workshop: Workshop) -> None:
    name = f"passing-{uuid4().hex[:8]}"
    make = allow(["scheduler:CreateSchedule", "scheduler:UpdateSchedule"], "*")
    to_scheduler = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
    to_ec2 = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    request: Any = {
        "Name": name,
        "ScheduleExpression": "at(2099-01-01T00:00:00)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": workshop.services.functions["tell"], "RoleArn": workshop.passed_role},
    }
    nobody = workshop.client("scheduler", make)
    passes_elsewhere = workshop.client("scheduler", make, allow("iam:PassRole", "*", to_ec2))
    passes = workshop.client("scheduler", make, allow("iam:PassRole", workshop.passed_role, to_scheduler))

    for refused in (nobody, passes_elsewhere):
        with pytest.raises(ClientError, match=r"AccessDeniedException.*iam:PassRole"):
            refused.create_schedule(**request)
    passes.create_schedule(**request)
    with pytest.raises(ClientError, match=r"AccessDeniedException.*iam:PassRole"):
        nobody.update_schedule(**request)
    passes.update_schedule(**request)

    workshop.services.client("scheduler").delete_schedule(Name=name)
