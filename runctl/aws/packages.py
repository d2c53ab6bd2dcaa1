"""S3: `PackageShelf` of runctl/controller/kept_packages.py."""

import logging
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from runctl.aws.links import links_to
from runctl.aws.manifests import Manifests
from runctl.model import keys
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.job import LinkedFile
from runctl.model.packages import PackagesListing

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

LISTING_NAME: Final = "packages.json"

_log = logging.getLogger(__name__)


class S3Packages:
    """Packages below `packages/`. `role_id` is the unique id of the stack's own machine role."""

    def __init__(self, client: "S3Client", bucket: str, role_id: str) -> None:
        self._client = client
        self._bucket = bucket
        self._role_id = role_id
        self._documents = Manifests(client, bucket)

    def prefix_of(
        self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId, *, role_id: str | None = None
    ) -> str:
        """Name the prefix below which the machine may leave packages."""
        return keys.packages_prefix(run_id, number, role_id or self._role_id, instance_id)

    def listing(
        self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId, *, role_id: str | None = None
    ) -> PackagesListing | None:
        """Read what an attempt's machine left; None when it left nothing, or what cannot be believed (logged).

        Links are signed for what it names, and a machine wrote it: only what lies beside it is believed.
        """
        prefix = self.prefix_of(run_id, number, instance_id, role_id=role_id)
        body = self._documents.document(f"{prefix}{LISTING_NAME}")
        if body is None:
            return None
        try:
            listing = PackagesListing.model_validate_json(body)
        except ValidationError:
            # Without pydantic's text, which quotes what the machine wrote.
            _log.warning("listing of packages is not readable: %s", prefix)
            return None
        if not all(file.key.startswith(prefix) for file in listing.files):
            _log.warning("listing of packages names what is not its own: %s", prefix)
            return None
        return listing

    def links(self, listing: PackagesListing) -> tuple[LinkedFile, ...]:
        """Make short-lived links to read the pieces."""
        return links_to(self._client, self._bucket, listing.files)
