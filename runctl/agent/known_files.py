"""Finds the files of a new checkpoint that lie in the bucket already, by their content."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from runctl.agent.checkpoint_keeping import StoredFile

BLOCK_BYTES = 64 * 1024
BLOCKS = 16
"""What is looked at before a whole file is read to compare it: weights that were trained differ everywhere."""

_CHUNK_BYTES = 1024 * 1024


def sample(path: Path, size: int) -> str:
    """Hash a few blocks of a file, spread over it; all of a small one."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if size <= BLOCKS * BLOCK_BYTES:
            digest.update(file.read(BLOCKS * BLOCK_BYTES))
        else:
            for number in range(BLOCKS):
                file.seek((size - BLOCK_BYTES) * number // (BLOCKS - 1))
                digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Hash a file with bounded memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


class KnownFiles:
    """What lies in the bucket, by size and sample."""

    def __init__(self, files: Iterable[StoredFile]) -> None:
        self._found: dict[tuple[int, str], dict[str, StoredFile]] = {}
        for file in files:
            self._found.setdefault((file.bytes, file.sample), {})[file.sha256] = file

    def same(self, path: Path, size: int, sampled: str) -> StoredFile | None:
        """The stored file of the same content. The whole file is read only where its sample is known."""
        candidates = self._found.get((size, sampled))
        return candidates.get(sha256_of(path)) if candidates else None
