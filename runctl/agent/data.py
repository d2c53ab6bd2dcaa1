"""Data of S3 for a training: fetched side by side, taken up where it broke off, checked; or mounted."""

import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from runctl.agent.clients import AwsRefused, aws_errors
from runctl.agent.job import DataSource
from runctl.agent.setup_error import SetupCancelledError, SetupError

TRIES = 5
FETCHES = 6
"""At once; `runctl.agent.clients` keeps eight connections."""

_CHUNK_BYTES = 1024 * 1024
_PART = ".runctl-part"
_MD5_CHARACTERS = 32
_CHANGED_CODES = frozenset({"PreconditionFailed", "412"})
_REFUSED_CODES = frozenset({"AccessDenied", "403"})


@dataclass(frozen=True)
class DataObject:
    """One object, as it was listed."""

    key: str
    bytes: int
    etag: str


@dataclass(frozen=True)
class Answer:
    """A stretch of an object."""

    chunks: Iterator[bytes]
    etag_is_md5: bool
    """Whether the ETag is the MD5 of the whole: it was written in one piece, and not encrypted by a KMS key."""


class DataStore(Protocol):
    """S3, for any bucket that the machine may read. Raises OSError."""

    def list(self, bucket: str, prefix: str) -> Iterator[DataObject]:
        """Go through the objects whose keys begin with the prefix."""
        ...

    def read(self, bucket: str, found: DataObject, begin: int) -> Answer:
        """Read the object that was listed, and no newer one, from a byte on."""
        ...


class S3DataStore:
    """Through botocore."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def list(self, bucket: str, prefix: str) -> Iterator[DataObject]:
        """Go through the objects whose keys begin with the prefix."""
        with aws_errors():
            # By hand: botocore's paginators rest on data that the agent's archive does not carry.
            further: dict[str, str] = {}
            while True:
                page = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, **further)
                for entry in page.get("Contents", ()):
                    yield DataObject(entry["Key"], entry["Size"], entry["ETag"])
                if not page.get("IsTruncated"):
                    return
                further = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, bucket: str, found: DataObject, begin: int) -> Answer:
        """Read the object that was listed, and no newer one, from a byte on."""
        with aws_errors():
            answer = self._client.get_object(
                Bucket=bucket, Key=found.key, IfMatch=found.etag, **({"Range": f"bytes={begin}-"} if begin else {})
            )
        plain = answer.get("ServerSideEncryption", "AES256") == "AES256" and "SSECustomerAlgorithm" not in answer
        return Answer(_chunks(answer["Body"]), plain and len(found.etag.strip('"')) == _MD5_CHARACTERS)


def _chunks(body: Any) -> Iterator[bytes]:
    with aws_errors(), closing(body):
        yield from body.iter_chunks(_CHUNK_BYTES)


def data_path(source: DataSource, code: Path, data: Path) -> Path:
    """Where data lies: at the path that was asked for, from the project's folder on; else below the data folder, by
    the last part of the prefix or the bucket's name."""
    if source.path:
        return code / source.path  # an absolute one stays what it is
    return data / (source.prefix.rstrip("/").rpartition("/")[2] or source.bucket)


def fetch_data(source: DataSource, store: DataStore, target: Path, cancelled: Callable[[], bool]) -> tuple[int, int]:
    """Fetch the objects of a source that are not there; answers how many there are, and their bytes.

    The object of exactly that key becomes the file `target`; those below it a folder. Raises SetupError.
    """
    try:
        found = _wanted(source, store)
        target.parent.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(FETCHES) as pool:
            running = [pool.submit(_fetch, source, store, item, target, cancelled) for item in found]
            try:
                for each in running:
                    each.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except AwsRefused as error:
        refused = "; name the bucket at deployment: --data-bucket" if error.code in _REFUSED_CODES else ""
        raise SetupError(f"the data {source.url} could not be read: {error}{refused}") from error
    except OSError as error:
        raise SetupError(f"the data {source.url} could not be fetched: {error}") from error
    return len(found), sum(item.bytes for item in found)


def _wanted(source: DataSource, store: DataStore) -> list[DataObject]:
    """The one object of that name, or those in the folder of that name. Keys that end in a slash stand for folders
    (Amazon S3 User Guide, "Organizing objects in the Amazon S3 console by using folders")."""
    name = source.prefix.rstrip("/")
    folder = f"{name}/" if name else ""
    found = list(store.list(source.bucket, source.prefix))
    exact = [item for item in found if item.key == source.prefix and not item.key.endswith("/")]
    wanted = exact or [item for item in found if item.key.startswith(folder) and not item.key.endswith("/")]
    if not wanted:
        raise SetupError(f"there is no data at {source.url}")
    return wanted


def _place(source: DataSource, item: DataObject, target: Path) -> Path:
    if item.key == source.prefix:
        return target
    name = source.prefix.rstrip("/")
    relative = item.key.removeprefix(f"{name}/" if name else "")
    if relative.startswith("/") or any(part in {"", ".", ".."} for part in relative.split("/")) or "\0" in relative:
        raise SetupError(f"the object {item.key!r} of {source.url} has no name that a file could have")
    return target / relative


def _fetch(source: DataSource, store: DataStore, item: DataObject, target: Path, cancelled: Callable[[], bool]) -> None:
    path = _place(source, item, target)
    if path.is_file() and path.stat().st_size == item.bytes:
        return  # whole: it got its name when it was
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}{_PART}")
    for attempt in range(1, TRIES + 1):
        try:
            if _fill(source, store, item, part, cancelled):
                part.replace(path)
                return
        except AwsRefused as error:
            if error.code in _CHANGED_CODES:
                raise SetupError(f"{item.key} of {source.url} changed while it was fetched") from error
            raise
        except OSError:
            if attempt == TRIES:
                raise
            continue
        part.unlink(missing_ok=True)  # all of it is there, and it is something else
    raise SetupError(f"{item.key} of {source.url} arrived damaged {TRIES} times")


def _fill(source: DataSource, store: DataStore, item: DataObject, part: Path, cancelled: Callable[[], bool]) -> bool:
    """Fetch what is missing of a part; says whether the whole is what S3 says it is."""
    begin = part.stat().st_size if part.exists() else 0
    if begin > item.bytes:
        part.unlink()
        begin = 0
    if begin == item.bytes > 0:
        part.unlink()  # whether it is right was not known any more
        begin = 0
    answer = store.read(source.bucket, item, begin)
    with part.open("ab") as out:
        for chunk in answer.chunks:
            if cancelled():
                raise SetupCancelledError
            out.write(chunk)
    if part.stat().st_size != item.bytes:
        return False
    if not answer.etag_is_md5:
        return True
    with part.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == item.etag.strip(
            '"'
        )


MOUNTPOINT = "mount-s3"
_PACKAGES = "https://s3.amazonaws.com/mountpoint-s3-release/latest"
_ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def install_mountpoint(which: Callable[[str], str | None] = shutil.which) -> tuple[str, ...]:
    """The command that installs Mountpoint for Amazon S3; empty where it is there (Amazon S3 User Guide, "Installing
    Mountpoint"). Raises SetupError where there is no package for the machine."""
    if which(MOUNTPOINT) is not None:
        return ()
    if "AWS_EC2_METADATA_SERVICE_ENDPOINT" in os.environ:
        # Its metadata are not EC2's, so that it is somebody's own machine: nothing is installed there.
        raise SetupError(f"{MOUNTPOINT} is not installed on this machine")
    url = f"{_PACKAGES}/{_ARCHITECTURES.get(platform.machine(), 'x86_64')}/{MOUNTPOINT}"
    if which("dnf") is not None:
        return ("dnf", "install", "--assumeyes", "--quiet", f"{url}.rpm")
    if which("apt-get") is not None:
        deb = "/tmp/mount-s3.deb"
        return ("sh", "-c", f"curl -fsSL -o {deb} {url}.deb && apt-get install -y -q {deb}")
    raise SetupError("Mountpoint for Amazon S3 cannot be installed here: there is neither dnf nor apt-get")


def mount_command(source: DataSource, target: Path, region: str) -> tuple[str, ...]:
    """The command that mounts a source, for reading only (Mountpoint's documentation, "Configuring Mountpoint"). A
    prefix must end in a slash."""
    prefix = source.prefix.rstrip("/")
    where = ("--prefix", f"{prefix}/") if prefix else ()
    return (MOUNTPOINT, "--read-only", "--allow-other", "--region", region, *where, source.bucket, str(target))
