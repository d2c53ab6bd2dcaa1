"""Deploying: what is left when it comes to nothing."""

from typing import Any, cast

import boto3
from moto import mock_aws

from runctl.assembly import Assembly
from runctl.aws.asset_bucket import asset_bucket_name
from runctl.aws.identity import Identity
from runctl.client.clients import Clients
from runctl.client.deploying import Deploying, DeploymentPlan, Site

ACCOUNT = "123456789012"
BUCKET = asset_bucket_name(ACCOUNT, "us-east-1")


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
