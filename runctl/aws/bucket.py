"""S3: `Bucket` of runctl/controller/ports.py, and the project archives that a laptop uploads."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError
from pydantic import ValidationError

from runctl.aws.errors import aws_errors, code_of
from runctl.errors import AwsError
from runctl.model import keys
from runctl.model.checkpoint import Manifest
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.job import AgentJob, LinkedFile
from runctl.model.run import CodeRef

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

MANIFEST_NAME: Final = "manifest.json"
FINAL_MARKER_NAME: Final = "final.json"

LINK_LIFETIME_S: Final = 3_600
"""From the hand-off to the machine's last download. The machine is online when links are made; its environment is
made before. A link signed by a role's session ends with the session, which a function has for hours."""

_LARGEST_DOCUMENT: Final = 16 * 1024 * 1024
"""Bytes of a manifest or marker that are read at most: what a machine wrote is not trusted to be small."""

_NOT_THERE: Final = frozenset({"NoSuchKey", "404", "NotFound"})

_log = logging.getLogger(__name__)


class S3Bucket:
    """The bucket as the controller uses it. `role_id` is the unique id of the machines' role."""

    def __init__(self, client: "S3Client", bucket: str, role_id: str) -> None:
        self._client = client
        self._bucket = bucket
        self._role_id = role_id

    def put_job(self, instance_id: InstanceId, job: AgentJob) -> None:
        """Write the machine's hand-off."""
        with aws_errors():
            self._client.put_object(
                Bucket=self._bucket,
                Key=keys.handoff_key(self._role_id, instance_id),
                Body=job.model_dump_json().encode(),
                ContentType="application/json",
            )

    def remove_job(self, instance_id: InstanceId) -> None:
        """Remove the machine's hand-off; one that is not there is fine."""
        with aws_errors():
            self._client.delete_object(Bucket=self._bucket, Key=keys.handoff_key(self._role_id, instance_id))

    def prefix_of(self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId) -> str:
        """Name the prefix that the machine may write (it holds the machine role's id)."""
        return keys.attempt_prefix(run_id, number, self._role_id, instance_id)

    def manifests(self, run_id: RunId) -> tuple[Manifest, ...]:
        """Read all manifests that lie below the run's attempts, newest `saved_at` first; unreadable ones are left out
        and logged."""
        with aws_errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=keys.attempts_prefix(run_id)
            )
            found = [
                entry.get("Key", "")
                for page in pages
                for entry in page.get("Contents", [])
                if _is_manifest(entry.get("Key", ""))
            ]
        manifests = [manifest for key in found if (manifest := self.manifest(key)) is not None]
        return tuple(sorted(manifests, key=lambda manifest: manifest.saved_at, reverse=True))

    def manifest(self, key: str) -> Manifest | None:
        """Read one manifest; None when there is none, or when what lies there is not one of this place (logged)."""
        body = self._read(key)
        if body is None:
            return None
        try:
            manifest = Manifest.model_validate_json(body)
        except ValidationError:
            # Without pydantic's text, which quotes what the machine wrote.
            _log.warning("manifest is not readable: %s", key)
            return None
        if not _belongs(manifest, key):
            _log.warning("manifest names what is not its own: %s", key)
            return None
        return manifest

    def links(self, manifest: Manifest) -> tuple[LinkedFile, ...]:
        """Make short-lived links to read a checkpoint's files."""
        with aws_errors():
            return tuple(
                LinkedFile(
                    path=file.path,
                    bytes=file.bytes,
                    sha256=file.sha256,
                    url=self._client.generate_presigned_url(
                        "get_object", Params={"Bucket": self._bucket, "Key": file.key}, ExpiresIn=LINK_LIFETIME_S
                    ),
                )
                for file in manifest.files
            )

    def final_marker(self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId) -> dict[str, Any] | None:
        """Read the signed `Training Ended` detail that the agent leaves in the bucket; None when there is none."""
        key = self.prefix_of(run_id, number, instance_id) + FINAL_MARKER_NAME
        body = self._read(key)
        if body is None:
            return None
        try:
            marker = json.loads(body)
        except ValueError:
            marker = None
        if not isinstance(marker, dict):
            _log.warning("final marker is not readable: %s", key)
            return None
        return cast("dict[str, Any]", marker)

    def _read(self, key: str) -> bytes | None:
        with aws_errors():
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code_of(error) in _NOT_THERE:
                    return None
                raise
            return answer["Body"].read(_LARGEST_DOCUMENT)


class CodeArchives:
    """The bucket's `code/` prefix: project archives, named by their content."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def has(self, code: CodeRef) -> bool:
        """Whether the archive is there already, whole."""
        with aws_errors():
            try:
                answer = self._client.head_object(Bucket=self._bucket, Key=code.key)
            except ClientError as error:
                if code_of(error) in _NOT_THERE:
                    return False
                raise
        return answer["ContentLength"] == code.bytes

    def upload(self, code: CodeRef, path: Path) -> None:
        """Write the archive under its key, in parts when it is large."""
        with aws_errors():
            try:
                self._client.upload_file(
                    str(path), self._bucket, code.key, ExtraArgs={"ContentType": "application/gzip"}
                )
            except S3UploadFailedError as error:
                # boto3 wraps what S3 answered; the answer itself says whether it was a permission.
                raise error.__context__ if isinstance(error.__context__, ClientError) else _failed(error) from error


def _failed(error: S3UploadFailedError) -> AwsError:
    return AwsError(str(error), aws_code=type(error).__name__, operation="PutObject")


def _is_manifest(key: str) -> bool:
    return key.endswith(f"/{MANIFEST_NAME}") and "/checkpoints/" in key


def _belongs(manifest: Manifest, key: str) -> bool:
    """Whether a manifest speaks only of its own run's files: links are signed for them, and a machine wrote it."""
    own_prefix, _, _ = key.partition("/checkpoints/")
    number_of_prefix = own_prefix.removeprefix(keys.attempts_prefix(manifest.run_id)).partition("/")[0]
    return (
        key.startswith(keys.attempts_prefix(manifest.run_id))
        and number_of_prefix == f"{manifest.attempt:04d}"
        and all(file.key.startswith(f"{own_prefix}/") for file in manifest.files)
    )
