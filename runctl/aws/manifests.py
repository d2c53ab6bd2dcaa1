"""S3: what machines wrote below a run, read with suspicion: manifests of checkpoints and listings of outputs."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from pydantic import ValidationError

from runctl.aws.errors import aws_errors, code_of
from runctl.model import keys
from runctl.model.checkpoint import Manifest
from runctl.model.ids import RunId

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

MANIFEST_NAME: Final = "manifest.json"

NOT_THERE: Final = frozenset({"NoSuchKey", "404", "NotFound"})

READERS: Final = 8
"""Manifests that are read at the same time; botocore keeps ten connections."""

_LARGEST_DOCUMENT: Final = 16 * 1024 * 1024
"""Bytes of a document that are read at most: what a machine wrote is not trusted to be small."""

_log = logging.getLogger(__name__)


class Manifests:
    """The manifests of one bucket."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def of_run(self, run_id: RunId) -> tuple[Manifest, ...]:
        """Read all manifests that lie below the run's attempts, newest `saved_at` first; unreadable ones are left out
        and logged."""
        found = [key for key in self.keys_of_run(run_id) if _is_manifest(key)]
        # A run of many attempts has hundreds; read one after another they would take longer than a function may.
        with ThreadPoolExecutor(READERS) as pool:
            manifests = [manifest for manifest in pool.map(self._at, found) if manifest is not None]
        return tuple(sorted(manifests, key=lambda manifest: manifest.saved_at, reverse=True))

    def _at(self, key: str) -> Manifest | None:
        """Read one manifest; None when there is none, or when what lies there is not one of this place (logged)."""
        body = self.document(key)
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

    def keys_of_run(self, run_id: RunId) -> Iterator[str]:
        """Go through the keys of everything that the run's machines wrote."""
        with aws_errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=keys.attempts_prefix(run_id)
            )
            found = [entry.get("Key", "") for page in pages for entry in page.get("Contents", [])]
        yield from found

    def document(self, key: str) -> bytes | None:
        """Read a small object; None when there is none."""
        with aws_errors():
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code_of(error) in NOT_THERE:
                    return None
                raise
            return answer["Body"].read(_LARGEST_DOCUMENT)


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
