"""Objects in the bucket: every upload is checked by S3 against a sum that was calculated from the file."""

import base64
import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from runctl.agent.clients import AwsRefused, aws_errors

PART_BYTES = 8 * 1024 * 1024
"""Size of the parts of a large upload. S3 wants 5 MiB at least, and no more than MAX_PARTS of them: the parts of a file
of more than 80 GB are larger."""

PARALLEL_PARTS = 4
MEMORY_BYTES = 64 * 1024 * 1024
"""What all uploads together hold in memory, however large the files are and however many."""

MAX_PARTS = 10_000
"""Amazon S3 User Guide, "Multipart upload limits"."""

_CHUNK_BYTES = 1024 * 1024
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


class Memory:
    """Bytes that may be held at the same time; who wants more waits."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._changed = threading.Condition()

    def take(self, size: int) -> None:
        """Wait until there is room. What is larger than all of it waits until it is alone."""
        with self._changed:
            self._changed.wait_for(lambda: self._held == 0 or self._held + size <= self._limit)
            self._held += size

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._held -= size
            self._changed.notify_all()


class S3ObjectStore:
    """One bucket through botocore. Several threads may upload at the same time."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._memory = Memory(MEMORY_BYTES)

    def put(self, key: str, body: bytes) -> None:
        """Write a small object."""
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        with aws_errors():
            self._client.put_object(Bucket=self._bucket, Key=key, Body=_stream(body), ChecksumSHA256=checksum)

    def put_file(self, key: str, path: Path) -> Stored:
        """Write a file of any size: in one piece when it is small, else in parallel parts."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size >= PART_BYTES:
                return self._put_parts(key, file, size)
            self._memory.take(PART_BYTES)
            try:
                body = file.read(PART_BYTES)
                self.put(key, body)
                return Stored(len(body), hashlib.sha256(body).hexdigest())
            finally:
                self._memory.give(PART_BYTES)

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

    def _put_parts(self, key: str, file: BinaryIO, size: int) -> Stored:
        part_bytes = max(PART_BYTES, -(-size // (MAX_PARTS - 1)))
        digest = hashlib.sha256()
        total = 0
        with aws_errors():
            upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
        try:
            parts: list[dict[str, Any]] = []
            with ThreadPoolExecutor(PARALLEL_PARTS) as pool:
                running: list[Future[dict[str, Any]]] = []
                while body := self._read(file, part_bytes):
                    digest.update(body)
                    total += len(body)
                    running.append(
                        pool.submit(self._put_part, key, upload, len(parts) + len(running) + 1, body, part_bytes)
                    )
                    del body  # the part's own thread lets go of it
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

    def _read(self, file: BinaryIO, size: int) -> bytes:
        """Read a part once there is memory for it; at the end of the file none is held."""
        self._memory.take(size)
        body = b""
        try:
            body = file.read(size)
        finally:
            if not body:
                self._memory.give(size)
        return body

    def _put_part(self, key: str, upload: str, number: int, body: bytes, held: int) -> dict[str, Any]:
        try:
            md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
            with aws_errors():
                answer = self._client.upload_part(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload,
                    PartNumber=number,
                    Body=_stream(body),
                    ContentMD5=md5,
                )
        finally:
            self._memory.give(held)
        return {"PartNumber": number, "ETag": answer["ETag"]}


def _stream(body: bytes) -> BytesIO:
    """A body that is read piece by piece: one of bytes botocore joins to its header, which takes the memory twice."""
    return BytesIO(body)
