"""S3: `Bucket` of runctl/controller/ports.py."""

import json
import logging
from typing import TYPE_CHECKING, Any, Final, cast

from runctl.aws.errors import aws_errors
from runctl.aws.links import links_to
from runctl.aws.manifests import Manifests
from runctl.model import keys
from runctl.model.base import WireModel
from runctl.model.checkpoint import Manifest
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.job import AgentJob, HandOver, Limits, LinkedFile, ReplacementReady

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

FINAL_MARKER_NAME: Final = "final.json"

_log = logging.getLogger(__name__)


class S3Bucket:
    """The bucket as the controller uses it. `role_id` is the unique id of the stack's own machine role; that of another
    instance profile's is given with the machine."""

    def __init__(self, client: "S3Client", bucket: str, role_id: str) -> None:
        self._client = client
        self._bucket = bucket
        self._role_id = role_id
        self._manifests = Manifests(client, bucket)

    def put_job(self, instance_id: InstanceId, job: AgentJob, *, role_id: str | None = None) -> None:
        """Write the machine's hand-off."""
        self._put(keys.handoff_key(role_id or self._role_id, instance_id), job)

    def put_go(self, instance_id: InstanceId, go: HandOver, *, role_id: str | None = None) -> None:
        """Write that the machine may train, and from where."""
        self._put(keys.go_key(role_id or self._role_id, instance_id), go)

    def put_limits(self, instance_id: InstanceId, limits: Limits, *, role_id: str | None = None) -> None:
        """Tell a machine that its training may take longer than its job says."""
        self._put(keys.limits_key(role_id or self._role_id, instance_id), limits)

    def put_replacement_ready(
        self, instance_id: InstanceId, word: ReplacementReady, *, role_id: str | None = None
    ) -> None:
        """Tell a machine that is being taken back that another one waits for it."""
        self._put(keys.replacement_ready_key(role_id or self._role_id, instance_id), word)

    def remove_job(self, instance_id: InstanceId, *, role_id: str | None = None) -> None:
        """Remove all of the machine's hand-off; what is not there is fine."""
        for key_of in (keys.handoff_key, keys.go_key, keys.limits_key, keys.replacement_ready_key):
            with aws_errors():
                self._client.delete_object(Bucket=self._bucket, Key=key_of(role_id or self._role_id, instance_id))

    def _put(self, key: str, document: WireModel) -> None:
        with aws_errors():
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=document.model_dump_json().encode(),
                ContentType="application/json",
            )

    def prefix_of(
        self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId, *, role_id: str | None = None
    ) -> str:
        """Name the prefix that the machine may write (it holds the machine role's id)."""
        return keys.attempt_prefix(run_id, number, role_id or self._role_id, instance_id)

    def manifests(self, run_id: RunId) -> tuple[Manifest, ...]:
        """Read all manifests that lie below the run's attempts, newest `saved_at` first; unreadable ones are left out
        and logged."""
        return self._manifests.of_run(run_id)

    def links(self, manifest: Manifest) -> tuple[LinkedFile, ...]:
        """Make short-lived links to read a checkpoint's files."""
        return links_to(self._client, self._bucket, manifest.files)

    def final_marker(
        self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId, *, role_id: str | None = None
    ) -> dict[str, Any] | None:
        """Read the signed `Training Ended` detail that the agent leaves in the bucket; None when there is none."""
        key = self.prefix_of(run_id, number, instance_id, role_id=role_id) + FINAL_MARKER_NAME
        body = self._manifests.document(key)
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
