"""S3: the bucket for archives and templates."""

from typing import Any, cast

import boto3
import pytest

from runctl.aws.asset_bucket import AssetBucket
from runctl.aws.clients import S3_CONFIG
from runctl.errors import AwsError
from tests.contract.stubs import stubbed

ACCOUNT = "123456789012"
NAME = f"runctl-assets-{ACCOUNT}-us-east-1"


def of_our_account(client: Any) -> AssetBucket:
    """Make the gateway for the bucket of these tests."""
    return AssetBucket(client, NAME, account=ACCOUNT, region="us-east-1")


def test_a_cleared_bucket_is_empty_and_still_ours(aws: None) -> None:
    """S3 would not give the name out again for an hour or two after a deletion."""
    client = cast("Any", boto3).client("s3", region_name="us-east-1", config=S3_CONFIG)
    client.create_bucket(Bucket=NAME)
    client.put_object(Bucket=NAME, Key="key", Body=b"archive")

    cleared = of_our_account(client).clear()

    assert cleared == 1
    assert client.list_objects_v2(Bucket=NAME)["KeyCount"] == 0


def test_a_name_that_s3_has_not_freed_yet_is_said_so() -> None:
    with stubbed("s3", of_our_account) as (bucket, stubber), pytest.raises(AwsError, match="deleted lately") as refused:
        stubber.add_client_error("head_bucket", service_error_code="404", http_status_code=404)
        stubber.add_client_error("create_bucket", service_error_code="OperationAborted", http_status_code=409)
        bucket.ensure()

    assert "an hour or two" in refused.value.hint
