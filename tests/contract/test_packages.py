"""S3: packages that machines left, read with suspicion."""

from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from runctl.aws.clients import S3_CONFIG
from runctl.aws.packages import S3Packages
from runctl.model import keys
from runctl.model.checkpoint import CheckpointFile
from runctl.model.packages import PackagesListing
from tests.contract.examples import FIRST, INSTANCE, OTHER_RUN_ID, RUN_ID, SHA256

BUCKET = "runctl-bucket"
ROLE_ID = "AROAEXAMPLEID"
PREFIX = keys.packages_prefix(RUN_ID, FIRST, ROLE_ID, INSTANCE)


@pytest.fixture
def s3(aws: None) -> Any:
    """S3's client on moto, with the bucket."""
    client = cast("Any", boto3).client("s3", region_name="us-east-1", config=S3_CONFIG)
    client.create_bucket(Bucket=BUCKET)
    return client


def _listing(key: str = f"{PREFIX}0000") -> PackagesListing:
    file = CheckpointFile(path="0000", key=key, bytes=3, sha256=SHA256)
    return PackagesListing(run_id=RUN_ID, attempt=FIRST, content=SHA256, files=(file,))


def _left(s3: Any, body: str | None) -> PackagesListing | None:
    if body is not None:
        s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}packages.json", Body=body.encode())
    return S3Packages(s3, BUCKET, ROLE_ID).listing(RUN_ID, FIRST, INSTANCE)


def test_what_a_machine_left_is_read(s3: Any) -> None:
    assert _left(s3, _listing().model_dump_json()) == _listing()


@pytest.mark.parametrize(
    "body",
    [
        None,
        "{",
        '{"version": 2}',
        _listing("code/secret").model_dump_json(),
        _listing(keys.packages_prefix(OTHER_RUN_ID, FIRST, ROLE_ID, INSTANCE) + "0000").model_dump_json(),
    ],
    ids=["nothing", "no JSON", "another version", "code", "another run's"],
)
def test_what_cannot_be_believed_is_nothing(s3: Any, body: str | None) -> None:
    assert _left(s3, body) is None


def test_machine_of_another_role_leaves_elsewhere(s3: Any) -> None:
    packages = S3Packages(s3, BUCKET, ROLE_ID)

    assert packages.prefix_of(RUN_ID, FIRST, INSTANCE) == PREFIX
    assert packages.prefix_of(RUN_ID, FIRST, INSTANCE, role_id="AROAOTHER").startswith("packages/AROAOTHER:")


def test_links_are_short_lived(s3: Any) -> None:
    (link,) = S3Packages(s3, BUCKET, ROLE_ID).links(_listing())

    assert urlsplit(link.url).path.endswith(f"/{RUN_ID}/0001/0000")
    assert int(parse_qs(urlsplit(link.url).query)["X-Amz-Expires"][0]) <= 3_600
