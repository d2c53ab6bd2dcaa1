"""S3's `code/` prefix as the laptop uses it."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from runctl.aws.clients import S3_CONFIG
from runctl.aws.code_objects import CodeObjects
from runctl.errors import PermissionDenied
from runctl.model import keys
from tests.contract.examples import SHA256
from tests.contract.stubs import stubbed

BUCKET = "runctl-bucket"
KEY = keys.pack_key(SHA256)
_ABC = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
"""SHA-256 of "abc" (FIPS 180-2, appendix B.1), in base64."""


@pytest.fixture
def s3(aws: None) -> Any:
    """S3's client on moto, with the bucket."""
    client = cast("Any", boto3).client("s3", region_name="us-east-1", config=S3_CONFIG)
    client.create_bucket(Bucket=BUCKET)
    return client


def _objects(client: Any) -> CodeObjects:
    return CodeObjects(client, BUCKET)


def test_what_was_put_is_seen_with_its_size_and_time_and_can_be_read(s3: Any) -> None:
    objects = _objects(s3)

    before = objects.look(KEY), objects.read(KEY)
    objects.put(KEY, b"abc", sha256(b"abc").digest())
    found = objects.look(KEY)

    assert before == (None, None)
    assert found is not None
    assert found.bytes == 3
    assert abs(datetime.now(UTC) - found.written_at) < timedelta(minutes=5)
    assert objects.read(KEY) == b"abc"


def test_s3_is_told_the_hash_and_refuses_a_body_that_has_another() -> None:
    with stubbed("s3", _objects) as (objects, stubber):
        stubber.add_response(
            "put_object",
            {},
            {
                "Bucket": BUCKET,
                "Key": KEY,
                "Body": b"abc",
                "ChecksumSHA256": _ABC,
            },
        )
        objects.put(KEY, b"abc", sha256(b"abc").digest())


@pytest.mark.parametrize(("checksum", "read"), [(_ABC, sha256(b"abc").hexdigest()), (f"{_ABC}-3", None), (None, None)])
def test_hash_of_an_object_is_s3s_own_when_it_was_written_in_one_piece(checksum: str | None, read: str | None) -> None:
    answer = {"ContentLength": 3, "LastModified": datetime(2026, 1, 1, tzinfo=UTC)}
    more = {} if checksum is None else {"ChecksumSHA256": checksum}
    with stubbed("s3", _objects) as (objects, stubber):
        stubber.add_response("head_object", answer | more, {"Bucket": BUCKET, "Key": KEY, "ChecksumMode": "ENABLED"})
        found = objects.look(KEY)

    assert found is not None
    assert found.sha256 == read


def test_large_file_is_uploaded_and_its_bytes_are_told(s3: Any, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"abc")
    sent: list[int] = []

    _objects(s3).upload(KEY, tmp_path / "weights", sent.append)

    assert sum(sent) == 3
    assert s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == b"abc"


def test_renewed_object_is_the_same_one_written_now(s3: Any) -> None:
    objects = _objects(s3)
    objects.put(KEY, b"abc", sha256(b"abc").digest())

    objects.renew(KEY)

    assert objects.read(KEY) == b"abc"
    assert s3.head_object(Bucket=BUCKET, Key=KEY)["ContentLength"] == 3


@pytest.mark.parametrize("call", ["look", "read"])
def test_refused_look_is_not_a_missing_object(call: str) -> None:
    operation = {"look": "head_object", "read": "get_object"}[call]
    with stubbed("s3", _objects) as (objects, stubber), pytest.raises(PermissionDenied):
        stubber.add_client_error(operation, service_error_code="403", http_status_code=403)
        getattr(objects, call)(KEY)


def test_upload_that_s3_refuses_says_why(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"abc")
    with stubbed("s3", _objects) as (objects, stubber), pytest.raises(PermissionDenied):
        stubber.add_client_error("put_object", service_error_code="AccessDenied", http_status_code=403)
        objects.upload(KEY, tmp_path / "weights", lambda _count: None)
