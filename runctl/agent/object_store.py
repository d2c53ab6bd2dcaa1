"""Objects in the bucket: every upload is checked by S3 against a sum that was calculated from the file."""

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from runctl.agent.clients import AwsRefused, aws_errors

PART_BYTES = 16 * 1024 * 1024
"""Size of the parts of a large upload; with PARALLEL_PARTS it bounds the memory. S3 wants 5 MiB at least."""

PARALLEL_PARTS = 4
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

    def get_file(self, key: str, path: Path, cancelled: Callable[[], bool]) -> str:
        """Write an object to a file with bounded memory; answers its SHA-256."""
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


class S3ObjectStore:
    """One bucket through botocore."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes) -> None:
        """Write a small object."""
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        with aws_errors():
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ChecksumSHA256=checksum)

    def put_file(self, key: str, path: Path) -> Stored:
        """Write a file of any size: in one piece when it is small, else in parallel parts."""
        with path.open("rb") as file:
            first = file.read(PART_BYTES)
            if len(first) < PART_BYTES:
                self.put(key, first)
                return Stored(len(first), hashlib.sha256(first).hexdigest())
            return self._put_parts(key, first, file, path.stat().st_size)

    def get(self, key: str) -> bytes:
        """Read a small object."""
        with aws_errors():
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()

    def get_file(self, key: str, path: Path, cancelled: Callable[[], bool]) -> str:
        """Write an object to a file; answers its SHA-256."""
        with aws_errors(), closing(self._client.get_object(Bucket=self._bucket, Key=key)["Body"]) as body:
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

    def _put_parts(self, key: str, first: bytes, file: BinaryIO, size: int) -> Stored:
        part_bytes = max(PART_BYTES, -(-size // (MAX_PARTS - 1)))
        digest = hashlib.sha256()
        total = 0
        with aws_errors():
            upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
        try:
            parts: list[dict[str, Any]] = []
            with ThreadPoolExecutor(PARALLEL_PARTS) as pool:
                running: list[Future[dict[str, Any]]] = []
                for number, body in enumerate(_pieces(first, file, part_bytes), start=1):
                    digest.update(body)
                    total += len(body)
                    running.append(pool.submit(self._put_part, key, upload, number, body))
                    if len(running) == PARALLEL_PARTS:  # never more than these in memory
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

    def _put_part(self, key: str, upload: str, number: int, body: bytes) -> dict[str, Any]:
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        with aws_errors():
            answer = self._client.upload_part(
                Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=body, ContentMD5=md5
            )
        return {"PartNumber": number, "ETag": answer["ETag"]}


def _pieces(first: bytes, file: BinaryIO, part_bytes: int) -> Iterator[bytes]:
    """Cut a file whose beginning was read already into parts of equal size but for the last."""
    piece = first + file.read(part_bytes - len(first))
    while piece:
        yield piece
        piece = file.read(part_bytes)
