"""Objects in the bucket: every upload is checked by S3 against a sum that was calculated from the file."""

import base64
import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from runctl.agent.clients import AwsRefused, aws_errors

PART_BYTES = 8 * 1024 * 1024
"""Size of the parts of a large upload. S3 wants 5 MiB at least, and no more than MAX_PARTS of them: the parts of a file
of more than 80 GB are larger."""

PARALLEL_PARTS = 4
"""Of one file."""

PARALLEL_UPLOADS = 8
"""Of all files together: as many connections as the client keeps."""

MAX_PARTS = 10_000
"""Amazon S3 User Guide, "Multipart upload limits"."""

_CHUNK_BYTES = 256 * 1024
_MISSING_CODES = frozenset({"NoSuchKey", "404", "NoSuchUpload"})


@dataclass(frozen=True)
class Stored:
    """What was uploaded."""

    bytes: int
    sha256: str


class ObjectStore(Protocol):
    """The bucket. Every method raises OSError when the call did not succeed."""

    def put(self, key: str, body: bytes) -> None:
        """Write a small object."""
        ...

    def put_file(self, key: str, path: Path) -> Stored:
        """Write a file of any size with bounded memory."""
        ...

    def get(self, key: str) -> bytes:
        """Read a small object."""
        ...

    def get_file(
        self, key: str, path: Path, cancelled: Callable[[], bool], stretch: tuple[int, int] | None = None
    ) -> str:
        """Write an object, or what lies from the first number to before the second, to a file with bounded memory;
        answers the SHA-256 of what was written."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are fine."""
        ...


class CancelledTransferError(OSError):
    """Somebody asked for the end while a file was being fetched."""


def save_chunks(chunks: Iterable[bytes], path: Path, cancelled: Callable[[], bool]) -> str:
    """Write chunks to a file; answers their SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for chunk in chunks:
            if cancelled():
                raise CancelledTransferError(f"fetching {path.name} was given up")
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


class Digest(Protocol):
    """A sum that is being calculated, as hashlib's."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        ...

    def digest(self) -> bytes:
        """The sum."""
        ...


class Stretch:
    """A stretch of a file, as a body to upload: read in small pieces, and again from its beginning when a call is
    repeated, so that no part of a large file lies in memory. S3 compares it with the sum of an earlier reading."""

    def __init__(self, file: int, begin: int, size: int) -> None:
        """`file` is a descriptor, which several may read from at once."""
        self._file = file
        self._begin = begin
        self._size = size
        self._place = 0

    def __len__(self) -> int:
        """How many bytes there are."""
        return self._size

    def tell(self) -> int:
        """Where the next piece begins."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; answers it."""
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        return self._place

    def read(self, size: int | None = None) -> bytes:
        """Read the next piece, a small one whatever is asked for, or all that is left. Raises OSError when the file has
        become shorter."""
        left = max(0, self._size - self._place)
        wanted = left if size is None or size < 0 else min(size, left, _CHUNK_BYTES)
        piece = os.pread(self._file, wanted, self._begin + self._place)
        if wanted and not piece:
            raise OSError("the file became shorter while it was uploaded")
        self._place += len(piece)
        return piece


class S3ObjectStore:
    """One bucket through botocore. Several threads may upload at the same time."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._turns = threading.BoundedSemaphore(PARALLEL_UPLOADS)

    def put(self, key: str, body: bytes) -> None:
        """Write a small object."""
        with aws_errors():
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=body, ChecksumSHA256=_base64(hashlib.sha256(body))
            )

    def put_file(self, key: str, path: Path) -> Stored:
        """Write a file of any size: in one piece when it is small, else in parallel parts."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size >= PART_BYTES:
                return self._put_parts(key, file.fileno(), size)
            digest = hashlib.sha256()
            body = _sum_up(file.fileno(), 0, PART_BYTES, digest)
            with self._turns, aws_errors():
                self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ChecksumSHA256=_base64(digest))
            return Stored(len(body), digest.hexdigest())

    def get(self, key: str) -> bytes:
        """Read a small object."""
        with aws_errors():
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()

    def get_file(
        self, key: str, path: Path, cancelled: Callable[[], bool], stretch: tuple[int, int] | None = None
    ) -> str:
        """Write an object, or a stretch of it, to a file; answers the SHA-256 of what was written."""
        # "bytes=0-499" are the first 500 (RFC 9110, "Byte Ranges").
        asked = {} if stretch is None else {"Range": f"bytes={stretch[0]}-{stretch[1] - 1}"}
        with aws_errors(), closing(self._client.get_object(Bucket=self._bucket, Key=key, **asked)["Body"]) as body:
            return save_chunks(body.iter_chunks(_CHUNK_BYTES), path, cancelled)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects one by one: a checkpoint has few files, and the order is the caller's."""
        for key in keys:
            try:
                with aws_errors():
                    self._client.delete_object(Bucket=self._bucket, Key=key)
            except AwsRefused as error:
                if error.code not in _MISSING_CODES:
                    raise

    def _put_parts(self, key: str, file: int, size: int) -> Stored:
        part_bytes = max(PART_BYTES, -(-size // (MAX_PARTS - 1)))
        digest = hashlib.sha256()
        total = 0
        with aws_errors():
            upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
        try:
            parts: list[dict[str, Any]] = []
            with ThreadPoolExecutor(PARALLEL_PARTS) as pool:
                running: list[Future[dict[str, Any]]] = []
                while True:
                    md5 = hashlib.md5(usedforsecurity=False)
                    body = _sum_up(file, total, part_bytes, digest, md5)
                    if not body:
                        break
                    total += len(body)
                    number = len(parts) + len(running) + 1
                    running.append(pool.submit(self._put_part, key, upload, number, body, _base64(md5)))
                    if len(running) == PARALLEL_PARTS:
                        parts.append(running.pop(0).result())
                parts.extend(future.result() for future in running)
            with aws_errors():
                self._client.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
                )
        except OSError:
            # What this leaves behind, the bucket's lifecycle rule for incomplete uploads removes.
            with suppress(OSError), aws_errors():
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
            raise
        return Stored(total, digest.hexdigest())

    def _put_part(self, key: str, upload: str, number: int, body: Stretch, md5: str) -> dict[str, Any]:
        with self._turns, aws_errors():
            answer = self._client.upload_part(
                Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=body, ContentMD5=md5
            )
        return {"PartNumber": number, "ETag": answer["ETag"]}


def _sum_up(file: int, begin: int, limit: int, *digests: Digest) -> Stretch:
    """Read on from a place and add to sums what is there; answers the stretch that was read."""
    size = 0
    while piece := os.pread(file, min(_CHUNK_BYTES, limit - size), begin + size):
        for digest in digests:
            digest.update(piece)
        size += len(piece)
    return Stretch(file, begin, size)


def _base64(digest: Digest) -> str:
    return base64.b64encode(digest.digest()).decode()
