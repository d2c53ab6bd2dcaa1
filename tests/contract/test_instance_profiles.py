"""Instance profiles and the roles in them."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from runctl.aws.instance_profiles import ProfileRole, is_taken, role_in
from runctl.errors import NotFoundError

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


@pytest.fixture
def iam() -> Iterator[Any]:
    """IAM with a profile that has a role, and one that has none."""
    with mock_aws():
        client = boto3.client("iam", region_name="us-east-1")
        client.create_role(RoleName="gpu-role", AssumeRolePolicyDocument=TRUST, Path="/teams/")
        client.create_instance_profile(InstanceProfileName="gpu")
        client.add_role_to_instance_profile(InstanceProfileName="gpu", RoleName="gpu-role")
        client.create_instance_profile(InstanceProfileName="empty")
        yield client


def test_the_role_in_a_profile_is_found_with_all_its_names(iam: Any) -> None:
    role = iam.get_role(RoleName="gpu-role")["Role"]

    assert role_in(iam, "gpu") == ProfileRole("gpu", "gpu-role", role["Arn"], role["RoleId"])


@pytest.mark.parametrize(("profile", "said"), [("nowhere", "There is no instance profile"), ("empty", "has no role")])
def test_a_profile_without_a_role_is_refused(iam: Any, profile: str, said: str) -> None:
    with pytest.raises(NotFoundError, match=said):
        role_in(iam, profile)


def test_a_name_that_somebody_has_is_taken(iam: Any) -> None:
    assert [is_taken(iam, name) for name in ("gpu", "empty", "nowhere")] == [True, True, False]
