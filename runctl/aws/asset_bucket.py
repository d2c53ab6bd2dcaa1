"""The bucket for archives and templates: made by `deploy`, for CloudFormation and Lambda read from a bucket only."""

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of
from runctl.errors import AwsError, PermissionDenied

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_NOT_THERE: Final = frozenset({"NoSuchBucket", "NoSuchKey", "404", "NotFound"})
_MADE_BY_US: Final = frozenset({"BucketAlreadyOwnedByYou"})
_JUST_DELETED: Final = frozenset({"OperationAborted"})
"""S3 gives the name of a deleted bucket back after an hour or two (S3 User Guide, "Deleting a general purpose bucket":
who wants to keep the name empties the bucket instead)."""

_DEFAULT_REGION: Final = "us-east-1"
"""The one Region that CreateBucket does not want named (S3 API Reference, CreateBucket)."""


def asset_bucket_name(account: str, region: str) -> str:
    """Name the bucket of an account and Region; bucket names are taken once in the world."""
    return f"runctl-assets-{account}-{region}"


class AssetBucket:
    """One private bucket whose objects are named by their content.

    Every call names the account that must own it: the name can be guessed, and somebody else may have taken it
    (S3 User Guide, "Verifying bucket ownership with bucket owner condition").
    """

    def __init__(self, client: "S3Client", name: str, *, account: str, region: str, partition: str = "aws") -> None:
        self._client = client
        self.name = name
        self._account = account
        self._region = region
        self._partition = partition

    def ensure(self) -> bool:
        """Make the bucket unless it is there; private, TLS only, encrypted, whoever made it. True when it was made."""
        is_missing = not self._exists()
        with aws_errors():
            if is_missing:
                self._create()
            self._client.put_public_access_block(
                Bucket=self.name,
                ExpectedBucketOwner=self._account,
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "IgnorePublicAcls": True,
                    "BlockPublicPolicy": True,
                    "RestrictPublicBuckets": True,
                },
            )
            self._client.put_bucket_encryption(
                Bucket=self.name,
                ExpectedBucketOwner=self._account,
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                },
            )
            self._client.put_bucket_policy(
                Bucket=self.name, ExpectedBucketOwner=self._account, Policy=json.dumps(self._policy())
            )
        return is_missing

    def upload(self, key: str, content: bytes) -> bool:
        """Write an object unless the same is there; False when it was."""
        sha256 = hashlib.sha256(content).hexdigest()
        with aws_errors():
            if self._sha256_of(key) == sha256:
                return False
            self._client.put_object(
                Bucket=self.name,
                Key=key,
                Body=content,
                Metadata={"sha256": sha256},
                ExpectedBucketOwner=self._account,
            )
        return True

    def url(self, key: str) -> str:
        """Say where CloudFormation finds an object, path-style, as its own endpoint writes it."""
        return f"{self._client.meta.endpoint_url}/{self.name}/{key}"

    def clear(self) -> int:
        """Delete all that is in it and keep the bucket, which costs nothing empty; answers how many objects.

        One that is not there, or is somebody else's, is left alone.
        """
        return empty_bucket(self._client, self.name) if self._exists() else 0

    def _exists(self) -> bool:
        with aws_errors():
            try:
                self._client.head_bucket(Bucket=self.name, ExpectedBucketOwner=self._account)
            except ClientError as error:
                if code_of(error) in _NOT_THERE:
                    return False
                if code_of(error) in {"403", "Forbidden", "AccessDenied"}:
                    raise PermissionDenied(
                        f"The bucket {self.name} cannot be used: it belongs to another account, or may not be read.",
                        hint="Ask for s3:ListBucket on it; a bucket of another account must be removed by its owner.",
                        aws_code=code_of(error),
                        operation="HeadBucket",
                    ) from error
                raise
        return True

    def _create(self) -> None:
        where: dict[str, Any] = (
            {}
            if self._region == _DEFAULT_REGION
            else {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
        )
        try:
            self._client.create_bucket(Bucket=self.name, **where)
        except ClientError as error:
            if code_of(error) in _JUST_DELETED:
                raise AwsError(
                    f"S3 does not give the name {self.name} out again yet: a bucket of that name was deleted lately.",
                    hint="S3 frees the name within an hour or two. Deploy again then, or in another Region.",
                    aws_code=code_of(error),
                    operation="CreateBucket",
                ) from error
            if code_of(error) not in _MADE_BY_US:  # somebody made it meanwhile, in this account
                raise

    def _sha256_of(self, key: str) -> str | None:
        try:
            found = self._client.head_object(Bucket=self.name, Key=key, ExpectedBucketOwner=self._account)
        except ClientError as error:
            if code_of(error) in _NOT_THERE:
                return None
            raise
        return found["Metadata"].get("sha256")

    def _policy(self) -> dict[str, Any]:
        """Refuse what does not come by TLS (S3 User Guide, "Security best practices")."""
        arn = f"arn:{self._partition}:s3:::{self.name}"
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [arn, f"{arn}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }


def empty_bucket(client: "S3Client", name: str) -> int:
    """Delete every object, every older version and every unfinished upload of a bucket; answers how many objects."""
    count = 0
    with aws_errors():
        for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if not found:
                continue
            answer = client.delete_objects(
                Bucket=name,
                Delete={
                    "Objects": [
                        {"Key": each.get("Key", ""), "VersionId": each.get("VersionId", "null")} for each in found
                    ],
                    "Quiet": True,
                },
            )
            for refused in answer.get("Errors", []):
                raise PermissionDenied(
                    f"{refused.get('Key')} of the bucket {name} cannot be deleted: {refused.get('Message')}",
                    hint="Ask for s3:DeleteObject on the bucket.",
                    aws_code=refused.get("Code", ""),
                    operation="DeleteObjects",
                )
            count += len(found)
        for uploads in client.get_paginator("list_multipart_uploads").paginate(Bucket=name):
            for upload in uploads.get("Uploads", []):
                client.abort_multipart_upload(
                    Bucket=name, Key=upload.get("Key", ""), UploadId=upload.get("UploadId", "")
                )
    return count
