"""Machines with another instance profile than the stack's own; and the stack's own where its name is taken."""

import json

import pytest

from runctl.model.names import MACHINE_PROFILE
from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def make_profile(cloud: Cloud, name: str) -> str:
    """Make an instance profile with a role of its own that may do nothing; answer the role's id."""
    iam = cloud.client("iam")
    role = iam.create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=f"{name}-role")
    return str(role["RoleId"])


def test_run_trains_under_an_allowed_profile_and_any_other_is_refused_before_launch(cloud: Cloud) -> None:
    role_id = make_profile(cloud, "gpu")
    train = ("train", "succeed.py", "--instance-type", "t3.micro", "--yes", "--wait", "--instance-profile", "gpu")

    refused = cloud.runctl(*train)
    deployed = cloud.runctl("deploy", "--yes", "--target", "local", "--allow-instance-profile", "gpu")
    trained = cloud.runctl(*train)

    assert (refused.exit_code, refused.document["errors"][0]["code"]) == (4, "permission"), refused
    assert "runctl deploy --allow-instance-profile gpu" in refused.document["errors"][0]["hint"]
    assert deployed.exit_code == 0, deployed
    assert (trained.exit_code, trained.data["status"]) == (0, "SUCCEEDED"), trained
    attempt = trained.data["attempts"][0]
    (reservation,) = cloud.client("ec2").describe_instances(InstanceIds=[attempt["instance_id"]])["Reservations"]
    tags = {tag["Key"]: tag["Value"] for tag in reservation["Instances"][0]["Tags"]}
    assert tags["runctl:role"] == role_id
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName="runctl")["Stacks"]
    bucket = next(each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == "Bucket")
    listed = cloud.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"runs/{trained.data['run_id']}/")["Contents"]
    assert listed
    assert all(f"/{role_id}:{attempt['instance_id']}/" in each["Key"] for each in listed)


def test_profile_that_is_no_longer_allowed_fails_the_run_with_the_missing_permission(cloud: Cloud) -> None:
    make_profile(cloud, "lent")
    allowed = cloud.runctl("deploy", "--yes", "--target", "local", "--allow-instance-profile", "lent")
    first = cloud.train("succeed.py", options=("--instance-profile", "lent"))
    ended = cloud.wait_for_end(first)
    iam = cloud.client("iam")
    iam.remove_role_from_instance_profile(InstanceProfileName="lent", RoleName="lent-role")
    make_profile(cloud, "other")
    iam.add_role_to_instance_profile(InstanceProfileName="lent", RoleName="other-role")

    second = cloud.wait_for_end(cloud.train("succeed.py", options=("--instance-profile", "lent")))

    assert allowed.exit_code == 0, allowed
    assert ended["status"] == "SUCCEEDED"
    assert (second["status"], second["reason"]) == ("FAILED", "PERMISSION"), second
    assert second["attempts"][0]["instance_id"] is None


def test_another_regions_deployment_gets_a_profile_of_its_own_name(cloud: Cloud) -> None:
    cloud.runctl("destroy", "--force", "--stack-name", "runctl")
    make_profile(cloud, MACHINE_PROFILE)  # as another Region's stack has it

    deployed = cloud.runctl("deploy", "--yes", "--target", "local")
    trained = cloud.runctl("train", "succeed.py", "--instance-type", "t3.micro", "--yes", "--wait")

    assert deployed.exit_code == 0, deployed
    assert f"{MACHINE_PROFILE}-us-east-1" in deployed.stderr
    assert (trained.exit_code, trained.data["status"]) == (0, "SUCCEEDED"), trained
