"""S3: the bucket's `code/` prefix, where a laptop keeps the files of projects, named by their content."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of
from runctl.aws.manifests import NOT_THERE
from runctl.errors import AwsError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

LARGEST_COPY: Final = 5_000_000_000
"""One CopyObject copies 5 GB at most (S3 API Reference, CopyObject)."""


@dataclass(frozen=True)
class StoredObject:
    """What the bucket says of an object."""

    bytes: int
    written_at: datetime
    sha256: str | None = None
    """As S3 calculated it when the object was written in one piece; None where it was not."""


class CodeObjects:
    """Reads and writes objects below `code/`. May be used by several threads."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self._bucket

    def look(self, key: str) -> StoredObject | None:
        """Look for an object; None when there is none."""
        with aws_errors():
            try:
                answer = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
            except ClientError as error:
                if code_of(error) in NOT_THERE:
                    return None
                raise
        checksum = answer.get("ChecksumSHA256", "")
        is_of_whole = checksum != "" and "-" not in checksum  # else it is one of the sums of parts
        sha256 = base64.b64decode(checksum).hex() if is_of_whole else None
        return StoredObject(answer["ContentLength"], answer["LastModified"], sha256)

    def read(self, key: str) -> bytes | None:
        """Read a small object; None when there is none."""
        with aws_errors():
            try:
                return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            except ClientError as error:
                if code_of(error) in NOT_THERE:
                    return None
                raise

    def put(self, key: str, body: bytes, sha256: bytes) -> None:
        """Write a small object; S3 itself checks that what arrived has this hash."""
        with aws_errors():
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=body, ChecksumSHA256=base64.b64encode(sha256).decode()
            )

    def upload(self, key: str, path: Path, on_bytes: Callable[[int], None]) -> None:
        """Write a large object, in parts. `on_bytes` hears of every piece that was sent, in any thread; a number below
        zero takes back what is sent again."""
        with aws_errors():
            try:
                self._client.upload_file(str(path), self._bucket, key, Callback=on_bytes)
            except S3UploadFailedError as error:
                # boto3 wraps what S3 answered; the answer itself says whether it was a permission.
                raise error.__context__ if isinstance(error.__context__, ClientError) else _failed(error) from error

    def renew(self, key: str) -> None:
        """Let an object count as written now, for the bucket forgets what was not used for long: a copy onto itself,
        which moves no data (S3 API Reference, CopyObject, `MetadataDirective`)."""
        with aws_errors():
            self._client.copy_object(
                Bucket=self._bucket,
                Key=key,
                CopySource={"Bucket": self._bucket, "Key": key},
                MetadataDirective="REPLACE",
            )


def _failed(error: S3UploadFailedError) -> AwsError:
    return AwsError(str(error), aws_code=type(error).__name__, operation="PutObject")
