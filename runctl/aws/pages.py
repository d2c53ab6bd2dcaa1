"""Pages for people in the bucket: `Pages` of runctl/controller/ports.py."""

from typing import TYPE_CHECKING

from runctl.aws.errors import aws_errors
from runctl.model import keys

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


class S3Pages:
    """Reports as plain text, which a browser shows as it is."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, name: str, text: str) -> str:
        """Keep a page under its name; answers its place. The same name is written over."""
        key = keys.page_key(name)
        with aws_errors():
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=text.encode(), ContentType="text/plain; charset=utf-8"
            )
        return f"s3://{self._bucket}/{key}"
