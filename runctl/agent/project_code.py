"""Fetches the project's archive, checks it and unpacks it without letting it out of its folder."""

import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

from runctl.agent.job import CodeRef
from runctl.agent.object_store import CancelledTransferError, ObjectStore
from runctl.agent.setup_error import SetupCancelledError, SetupError

TRIES = 3
"""A transfer that broke off is tried again; botocore itself tries only the request again."""


def fetch_code(ref: CodeRef, store: ObjectStore, target: Path, cancelled: Callable[[], bool]) -> int:
    """Put the project at `target`; answers how many files it has. Raises SetupError when it cannot be had whole."""
    archive = target.with_suffix(".tar.gz")
    sha256 = _fetch(ref.key, store, archive, cancelled)
    if sha256 != ref.sha256:
        raise SetupError(f"the project's code is damaged: its hash is {sha256}, not {ref.sha256}")
    files = unpack(archive, target)
    archive.unlink()
    return files


def _fetch(key: str, store: ObjectStore, archive: Path, cancelled: Callable[[], bool]) -> str:
    for attempt in range(1, TRIES + 1):
        try:
            return store.get_file(key, archive, cancelled)
        except CancelledTransferError as error:
            raise SetupCancelledError from error
        except OSError as error:
            if attempt == TRIES:
                raise SetupError(f"the project's code could not be fetched: {error}") from error
    raise AssertionError("the loop returns or raises")


def unpack(archive: Path, target: Path) -> int:
    """Unpack regular files, folders and links that stay inside `target`; answers how many they are but for folders.
    Raises SetupError for anything else."""
    files = 0
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extraction_filter = lambda member, _: member  # what `_check` lets through is what we want
            for member in tar:
                _check(member, target)
                member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
                member.mode = (member.mode & 0o777) | stat.S_IRUSR | stat.S_IWUSR
                tar.extract(member, target)
                files += not member.isdir()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SetupError(f"the project's code could not be unpacked: {error}") from error
    return files


def _check(member: tarfile.TarInfo, target: Path) -> None:
    """Refuse what would be written, or would point, outside the folder; links unpacked before are followed."""
    root = target.resolve()
    name = member.name
    if not (member.isreg() or member.isdir() or member.issym()):
        raise SetupError(f"the project's code holds {name}, which is neither a file, a folder nor a symbolic link")
    if not (target / name).resolve().is_relative_to(root):
        raise SetupError(f"the project's code holds {name}, which would lie outside the project")
    if member.issym() and not ((target / name).parent / member.linkname).resolve().is_relative_to(root):
        raise SetupError(f"the project's code holds the link {name}, which points outside the project")
