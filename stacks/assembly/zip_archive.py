"""Zip archives that are the same bytes for the same content: an archive's hash is its name, and a changed name is a
new deployment."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold."""

_UNIX: Final = 3
_READABLE: Final = 0o100644 << 16
"""Lambda runs the code as another user than the archive's owner (Lambda Developer Guide, "Deployment package")."""


def write_zip(target: Path, files: Iterable[tuple[str, Path]]) -> None:
    """Write files, given as (name in the archive, path), in the order of their names, without times or owners."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, path in sorted(files):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = _UNIX
            info.external_attr = _READABLE
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
