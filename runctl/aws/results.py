"""S3: what runs left behind, as a person fetches it."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from runctl.aws.errors import aws_errors
from runctl.aws.manifests import Manifests
from runctl.errors import AwsError, PermissionDenied
from runctl.model import keys
from runctl.model.checkpoint import CheckpointFile, Manifest
from runctl.model.history import MetricsHistory
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.output import OutputListing

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_CHUNK_BYTES: Final = 1024 * 1024

_DELETED_AT_ONCE: Final = 1_000
"""Keys of one request at most (S3 API Reference, "DeleteObjects")."""
_LISTING: Final = re.compile(r"([0-9]{4,})/[^/:]+:(i-[0-9a-f]+)/output\.json")
_HISTORY: Final = re.compile(r"([0-9]{4,})/[^/:]+:(i-[0-9a-f]+)/metrics\.json")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Output:
    """What an attempt left in `RUNCTL_OUTPUT_DIR`, and the machine that wrote it."""

    attempt: AttemptNumber
    instance_id: InstanceId
    files: tuple[CheckpointFile, ...]


@dataclass(frozen=True)
class LeftHistory:
    """The history of an attempt's figures, and the machine that wrote it."""

    instance_id: InstanceId
    history: MetricsHistory


class Results:
    """The bucket's `runs/` prefix."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._manifests = Manifests(client, bucket)

    def manifests(self, run_id: RunId) -> tuple[Manifest, ...]:
        """Read the manifests of the run's complete checkpoints, newest `saved_at` first."""
        return self._manifests.of_run(run_id)

    def outputs(self, run_id: RunId) -> tuple[Output, ...]:
        """Read the listings of the attempts' outputs, the last attempt's first; unreadable ones are left out."""
        prefix = keys.attempts_prefix(run_id)
        found: list[Output] = []
        for key in self._manifests.keys_of_run(run_id):
            matched = _LISTING.fullmatch(key.removeprefix(prefix))
            if matched is None:
                continue
            files = self._listed(key)
            if files is not None:
                found.append(Output(AttemptNumber(int(matched[1])), InstanceId(matched[2]), files))
        return tuple(sorted(found, key=lambda output: output.attempt, reverse=True))

    def histories(self, run_id: RunId) -> tuple[LeftHistory, ...]:
        """Read the histories of the attempts' figures, the first attempt's first; unreadable ones are left out."""
        prefix = keys.attempts_prefix(run_id)
        found: list[LeftHistory] = []
        for key in self._manifests.keys_of_run(run_id):
            matched = _HISTORY.fullmatch(key.removeprefix(prefix))
            body = None if matched is None else self._manifests.document(key)
            if matched is None or body is None:
                continue
            try:
                history = MetricsHistory.model_validate_json(body)
            except ValidationError:
                _log.warning("history of the metrics is not readable: %s", key)
                continue
            if (history.run_id, history.attempt) == (run_id, int(matched[1])):
                found.append(LeftHistory(InstanceId(matched[2]), history))
        return tuple(sorted(found, key=lambda left: left.history.attempt))

    def read(self, key: str) -> Iterator[bytes]:
        """Read an object in chunks of a mebibyte, so that its size does not matter."""
        with aws_errors():
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
        try:
            while True:
                with aws_errors():
                    chunk = body.read(_CHUNK_BYTES)
                if not chunk:
                    return
                yield chunk
        finally:
            body.close()

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; one that is gone already is fine. Raises PermissionDenied, AwsError."""
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            batch = keys[start : start + _DELETED_AT_ONCE]
            with aws_errors():
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                )
            # With HTTP 200: what could not be deleted stands in the answer (S3 API Reference, "DeleteObjects").
            for refused in answer.get("Errors", []):
                code, text = refused.get("Code", ""), refused.get("Message", "")
                kind = PermissionDenied if code == "AccessDenied" else AwsError
                raise kind(
                    f"{refused.get('Key')} cannot be deleted: {text} ({code})",
                    hint="See docs/policies for what a person needs.",
                    aws_code=code,
                    operation="DeleteObjects",
                )

    def _listed(self, key: str) -> tuple[CheckpointFile, ...] | None:
        body = self._manifests.document(key)
        if body is None:
            return None
        try:
            listing = OutputListing.model_validate_json(body)
        except ValidationError:
            _log.warning("listing of an output is not readable: %s", key)
            return None
        own = key.removesuffix(".json") + "/"
        if not all(file.key.startswith(own) for file in listing.files):
            _log.warning("listing of an output names what is not its own: %s", key)
            return None
        return listing.files
