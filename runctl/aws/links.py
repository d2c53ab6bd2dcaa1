"""Short-lived links to what machines wrote, for another machine that may not read it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from runctl.aws.errors import aws_errors
from runctl.model.checkpoint import CheckpointFile
from runctl.model.job import LinkedFile

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

LINK_LIFETIME_S: Final = 3_600
"""From the hand-off to the machine's last download. The machine is online when links are made; its environment is
made before. A link signed by a role's session ends with the session, which a function has for hours."""


def links_to(client: "S3Client", bucket: str, files: Iterable[CheckpointFile]) -> tuple[LinkedFile, ...]:
    """Make a link to each file."""
    with aws_errors():
        return tuple(
            LinkedFile(
                path=file.path,
                bytes=file.bytes,
                sha256=file.sha256,
                url=client.generate_presigned_url(
                    "get_object", Params={"Bucket": bucket, "Key": file.key}, ExpiresIn=LINK_LIFETIME_S
                ),
            )
            for file in files
        )
