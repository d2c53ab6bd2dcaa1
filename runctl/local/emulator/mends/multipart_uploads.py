"""A part below 5 MiB that is not the last of its object is refused when the upload is completed.

Amazon S3 User Guide, "Amazon S3 multipart upload limits"; Amazon S3 API Reference, CompleteMultipartUpload. ministack
takes parts of any size.
"""

from __future__ import annotations

from typing import Any, Final
from xml.etree import ElementTree

from runctl.local.emulator.seam import module, replace

LEAST_PART_BYTES: Final = 5 * 1024 * 1024


def apply() -> None:
    """Look at the sizes of the parts that a completion names; leave every other refusal to ministack."""
    s3 = module("services.s3")

    def complete(
        bucket_name: str, key: str, body: bytes, query_params: dict[str, Any], headers: dict[str, str] | None = None
    ) -> Any:
        """CompleteMultipartUpload."""
        upload = s3._multipart_uploads.get(s3._qp(query_params, "uploadId"))
        if upload is not None:
            stored = [upload["parts"][number] for number in _named_parts(body) if number in upload["parts"]]
            if any(part["size"] < LEAST_PART_BYTES for part in stored[:-1]):
                message = "Your proposed upload is smaller than the minimum allowed size"
                return s3._error("EntityTooSmall", message, 400, f"/{bucket_name}/{key}")
        return original(bucket_name, key, body, query_params, headers)

    original = replace(s3, "_complete_multipart_upload", "bucket_name, key, body, query_params, headers", complete)


def _named_parts(body: bytes) -> list[int]:
    """The numbers of the parts in a completion, in order; none where it cannot be read."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return []
    numbers = [element.text or "" for element in root.iter() if element.tag.rpartition("}")[2] == "PartNumber"]
    return sorted(int(number) for number in numbers if number.isdigit())
