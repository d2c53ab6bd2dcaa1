"""The archive of a project: the same files make the same bytes, so that its hash names it."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runctl.client.project import ProjectFile
from runctl.errors import InvalidSpec
from runctl.model.keys import code_key
from runctl.model.run import CodeRef

_LEVEL: Final = 6


@dataclass(frozen=True)
class ProjectArchive:
    """A tar.gz on disk."""

    path: Path
    code: CodeRef


def write_archive(files: Iterable[ProjectFile], path: Path) -> ProjectArchive:
    """Write the files to a tar.gz at `path` and name it by its hash.

    Times, owners and all rights but the executable one are left out: they differ from clone to clone and a training
    has no use for them. Raises InvalidSpec when a file cannot be read, or changes meanwhile.
    """
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=_LEVEL, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for file in files:
            _add(archive, file)
    digest = _sha256(path)
    return ProjectArchive(path, CodeRef(key=code_key(digest), sha256=digest, bytes=path.stat().st_size))


def _add(archive: tarfile.TarFile, file: ProjectFile) -> None:
    entry = tarfile.TarInfo(file.path)
    try:
        with file.source.open("rb") as content:
            entry.mode = 0o755 if file.source.stat().st_mode & 0o100 else 0o644
            entry.size = content.seek(0, io.SEEK_END)
            content.seek(0)
            archive.addfile(entry, content)
    except OSError as error:
        raise InvalidSpec(
            f"{file.path} cannot be packed: {error.strerror or 'it changed while it was read'}.",
            hint="Exclude it in .gitignore, or mend its rights, and run the command again.",
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
