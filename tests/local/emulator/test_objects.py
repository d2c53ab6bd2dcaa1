"""S3 as the machines' uploads and the readers of the bucket rest on it.

Amazon S3 User Guide, "Uploading and copying objects using multipart upload in Amazon S3", "Amazon S3 multipart upload
limits", "Checking object integrity for data uploads in Amazon S3" and "How to prevent object overwrites with
conditional writes".
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from runctl.agent import object_store
from runctl.agent.object_store import S3ObjectStore
from tests.local.emulator.services import Services

pytestmark = pytest.mark.local_cloud

FIVE_MIB = 5 * 1024 * 1024


@pytest.fixture
def s3(services: Services) -> Any:
    """S3's client. Without retries: botocore would send again what does not fit its sum."""
    return services.client("s3", retries={"max_attempts": 0})


@pytest.fixture
def place(services: Services, request: pytest.FixtureRequest) -> dict[str, str]:
    """Bucket and key of this test's object."""
    return {"Bucket": services.outputs["BucketName"], "Key": f"objects/{request.node.name}"}


def code_of(refused: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer: Any = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def open_uploads(s3: Any, place: dict[str, str]) -> list[str]:
    answer = s3.list_multipart_uploads(Bucket=place["Bucket"], Prefix=place["Key"])
    return [upload["UploadId"] for upload in answer.get("Uploads", [])]


def begin_upload(s3: Any, place: dict[str, str], *parts: bytes) -> dict[str, Any]:
    """Begin an upload and send its parts; return what completes it."""
    upload = s3.create_multipart_upload(**place)["UploadId"]
    sent = [
        {"PartNumber": number, "ETag": s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in enumerate(parts, start=1)
    ]
    return {**place, "UploadId": upload, "MultipartUpload": {"Parts": sent}}


def test_file_of_several_parts_is_stored_whole_and_no_upload_is_left(
    s3: Any, place: dict[str, str], tmp_path: Path
) -> None:
    content = bytes(range(256)) * 4096 * 20
    (tmp_path / "weights").write_bytes(content)

    stored = S3ObjectStore(s3, place["Bucket"]).put_file(place["Key"], tmp_path / "weights")

    assert len(content) > object_store.PART_BYTES
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert s3.get_object(**place)["Body"].read() == content
    assert open_uploads(s3, place) == []


def test_object_is_not_seen_before_its_upload_is_complete(s3: Any, place: dict[str, str]) -> None:
    completing = begin_upload(s3, place, b"a" * FIVE_MIB, b"b")

    with pytest.raises(ClientError) as refused:
        s3.head_object(**place)
    s3.complete_multipart_upload(**completing)

    assert code_of(refused) == ("404", 404)
    assert s3.head_object(**place)["ContentLength"] == FIVE_MIB + 1


@pytest.mark.parametrize("parts", [(b"a" * (FIVE_MIB - 1), b"b"), (b"a" * FIVE_MIB, b"b", b"c")])
def test_small_part_that_is_not_the_last_is_refused(s3: Any, place: dict[str, str], parts: tuple[bytes, ...]) -> None:
    completing = begin_upload(s3, place, *parts)

    with pytest.raises(ClientError) as refused:
        s3.complete_multipart_upload(**completing)

    assert code_of(refused) == ("EntityTooSmall", 400)
    assert open_uploads(s3, place) == [completing["UploadId"]]
    s3.abort_multipart_upload(**place, UploadId=completing["UploadId"])


def test_aborted_upload_is_gone_and_takes_no_more_parts(s3: Any, place: dict[str, str]) -> None:
    completing = begin_upload(s3, place, b"a")
    upload = completing["UploadId"]

    s3.abort_multipart_upload(**place, UploadId=upload)

    assert open_uploads(s3, place) == []
    with pytest.raises(ClientError) as refused:
        s3.upload_part(**place, UploadId=upload, PartNumber=2, Body=b"b")
    assert code_of(refused) == ("NoSuchUpload", 404)


def test_part_that_does_not_fit_its_sum_is_refused(s3: Any, place: dict[str, str]) -> None:
    upload = s3.create_multipart_upload(**place)["UploadId"]
    other = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()

    with pytest.raises(ClientError) as refused:
        s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"a", ContentMD5=other)

    assert code_of(refused) == ("BadDigest", 400)


def test_object_that_does_not_fit_its_sum_is_refused(s3: Any, place: dict[str, str]) -> None:
    other = base64.b64encode(hashlib.sha256(b"other").digest()).decode()

    with pytest.raises(ClientError) as refused:
        s3.put_object(**place, Body=b"a", ChecksumSHA256=other)

    assert code_of(refused) == ("BadDigest", 400)


def test_conditional_put_is_refused_where_its_condition_does_not_hold(s3: Any, place: dict[str, str]) -> None:
    first = s3.put_object(**place, Body=b"first", IfNoneMatch="*")["ETag"]
    second = s3.put_object(**place, Body=b"second", IfMatch=first)["ETag"]

    with pytest.raises(ClientError) as taken:
        s3.put_object(**place, Body=b"third", IfNoneMatch="*")
    with pytest.raises(ClientError) as stale:
        s3.put_object(**place, Body=b"third", IfMatch=first)

    assert code_of(taken) == code_of(stale) == ("PreconditionFailed", 412)
    assert s3.head_object(**place)["ETag"] == second
