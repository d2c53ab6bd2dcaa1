"""Data of S3 lies where it was asked for, whole; what broke off is taken up where it was."""

from collections.abc import Callable, Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest

from runctl.agent.clients import AwsRefused
from runctl.agent.data import (
    Answer,
    DataObject,
    S3DataStore,
    data_path,
    fetch_data,
    install_mountpoint,
    mount_command,
)
from runctl.agent.job import DataSource
from runctl.agent.preparation import lay_output_dir
from runctl.agent.setup_error import SetupCancelledError, SetupError


class _Bucket:
    """Objects in memory; can break off, lie, refuse."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = {key.replace("__", "/"): body for key, body in objects.items()}
        self.breaks: list[int] = []
        """After how many bytes the next answers break off."""
        self.lies = 0
        self.asked: list[tuple[str, int]] = []
        self.refusal: AwsRefused | None = None
        self.is_plain = True

    def list(self, bucket: str, prefix: str) -> Iterator[DataObject]:
        if self.refusal is not None:
            raise self.refusal
        for key, body in sorted(self.objects.items()):
            if key.startswith(prefix):
                yield DataObject(key, len(body), f'"{md5(body, usedforsecurity=False).hexdigest()}"')

    def read(self, bucket: str, found: DataObject, begin: int) -> Answer:
        self.asked.append((found.key, begin))
        return Answer(self._chunks(self.objects[found.key][begin:]), self.is_plain)

    def _chunks(self, body: bytes) -> Iterator[bytes]:
        if self.lies:
            self.lies -= 1
            yield b"?" * len(body)
        elif self.breaks:
            yield body[: self.breaks.pop(0)]
            raise OSError("connection reset")
        else:
            yield body


def _never() -> bool:
    return False


def _fetch(bucket: _Bucket, prefix: str, target: Path, cancelled: Callable[[], bool] = _never) -> dict[str, bytes]:
    fetch_data(DataSource("images", prefix, ""), bucket, target, cancelled)
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def test_folder_is_fetched_with_its_folders_and_nothing_beside_it(tmp_path: Path) -> None:
    bucket = _Bucket(cats__a=b"1", cats__deep__b=b"22", cats2__c=b"3", cats__=b"")

    assert _fetch(bucket, "cats", tmp_path / "x") == {"a": b"1", "deep/b": b"22"}
    assert _fetch(bucket, "cats/", tmp_path / "y") == {"a": b"1", "deep/b": b"22"}
    assert set(_fetch(bucket, "", tmp_path / "z")) == {"cats/a", "cats/deep/b", "cats2/c"}


def test_one_object_becomes_one_file(tmp_path: Path) -> None:
    _fetch(_Bucket(labels=b"a,b"), "labels", tmp_path / "labels.csv")

    assert (tmp_path / "labels.csv").read_bytes() == b"a,b"


def test_transfer_that_broke_off_goes_on_where_it_was(tmp_path: Path) -> None:
    bucket = _Bucket(cats__a=b"0123456789")
    bucket.breaks = [4, 3]

    assert _fetch(bucket, "cats", tmp_path / "x") == {"a": b"0123456789"}
    assert bucket.asked == [("cats/a", 0), ("cats/a", 4), ("cats/a", 7)]


def test_what_was_fetched_before_is_not_fetched_again(tmp_path: Path) -> None:
    bucket = _Bucket(cats__a=b"1", cats__b=b"22")
    _fetch(bucket, "cats", tmp_path / "x")
    bucket.asked.clear()

    _fetch(bucket, "cats", tmp_path / "x")

    assert bucket.asked == []


def test_what_is_not_what_s3_says_is_fetched_anew(tmp_path: Path) -> None:
    bucket = _Bucket(cats__a=b"0123")
    bucket.lies = 1

    assert _fetch(bucket, "cats", tmp_path / "x") == {"a": b"0123"}


def test_what_never_is_what_s3_says_ends_the_set_up_and_leaves_no_file(tmp_path: Path) -> None:
    bucket = _Bucket(cats__a=b"0123")
    bucket.lies = 99

    with pytest.raises(SetupError, match="damaged"):
        _fetch(bucket, "cats", tmp_path / "x")

    assert not (tmp_path / "x/a").exists()


def test_etag_that_is_no_md5_is_not_held_against_the_content(tmp_path: Path) -> None:
    bucket = _Bucket(cats__a=b"0123")
    bucket.lies, bucket.is_plain = 1, False

    assert _fetch(bucket, "cats", tmp_path / "x") == {"a": b"????"}


def test_object_that_changed_meanwhile_is_told(tmp_path: Path) -> None:
    bucket = _Bucket(cats__a=b"0123")

    def read(bucket: str, found: DataObject, begin: int) -> Answer:
        raise AwsRefused("PreconditionFailed", "")

    bucket.read = read  # type: ignore[method-assign]

    with pytest.raises(SetupError, match="changed while it was fetched"):
        _fetch(bucket, "cats", tmp_path / "x")


@pytest.mark.parametrize("key", ["cats/../../evil", "cats//a", "cats/./a", "cats/a\0"])
def test_key_that_leads_out_of_the_folder_is_refused(tmp_path: Path, key: str) -> None:
    bucket = _Bucket()
    bucket.objects = {key: b"x"}

    with pytest.raises(SetupError, match="no name that a file could have"):
        _fetch(bucket, "cats", tmp_path / "in" / "x")

    assert not list(tmp_path.rglob("evil"))


def test_nothing_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no data at s3://images/dogs"):
        _fetch(_Bucket(cats__a=b""), "dogs", tmp_path / "x")


def test_refusal_says_how_a_bucket_is_allowed(tmp_path: Path) -> None:
    bucket = _Bucket()
    bucket.refusal = AwsRefused("AccessDenied", "no")

    with pytest.raises(SetupError, match=r"AccessDenied.*--data-bucket"):
        _fetch(bucket, "cats", tmp_path / "x")


def test_fetching_is_given_up_when_asked(tmp_path: Path) -> None:
    with pytest.raises(SetupCancelledError):
        _fetch(_Bucket(cats__a=b"0"), "cats", tmp_path / "x", lambda: True)


@pytest.mark.parametrize(
    ("prefix", "path", "found"),
    [
        ("cats/train/", "", "/data/train"),
        ("labels.csv", "", "/data/labels.csv"),
        ("", "", "/data/images"),
        ("cats", "inputs/cats", "/code/inputs/cats"),
        ("cats", "/mnt/cats", "/mnt/cats"),
    ],
)
def test_data_lies_where_it_was_asked_for(prefix: str, path: str, found: str) -> None:
    assert data_path(DataSource("images", prefix, path), Path("/code"), Path("/data")) == Path(found)


def test_mount_is_for_reading_and_of_the_prefix_alone() -> None:
    command = mount_command(DataSource("images", "cats/train", ""), Path("/data/train"), "eu-central-1")

    assert " ".join(command) == (
        "mount-s3 --read-only --allow-other --region eu-central-1 --prefix cats/train/ images /data/train"
    )
    assert "--prefix" not in mount_command(DataSource("images", "", ""), Path("/d"), "x")


@pytest.mark.parametrize(
    ("there", "first"),
    [({"mount-s3"}, ()), ({"dnf", "apt-get"}, ("dnf", "install")), ({"apt-get"}, ("sh", "-c"))],
)
def test_mountpoint_is_installed_by_what_the_machine_has(
    there: set[str], first: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", raising=False)

    command = install_mountpoint(lambda name: name if name in there else None)

    assert command[:2] == first
    assert not command or "mountpoint-s3-release/latest/" in command[-1]


def test_nothing_is_installed_on_a_machine_that_is_not_ec2s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1/imds/i-1/")

    with pytest.raises(SetupError, match="not installed on this machine"):
        install_mountpoint(lambda name: "/usr/bin/dnf" if name == "dnf" else None)


def test_folder_of_the_project_is_kept_with_what_it_has(tmp_path: Path) -> None:
    code, output = tmp_path / "code", tmp_path / "output"
    (code / "results").mkdir(parents=True)
    (code / "results/old.txt").write_text("old")
    output.mkdir()

    lay_output_dir(code / "results", output)
    (code / "results/new.txt").write_text("new")
    lay_output_dir(code / "deep/other", output)

    assert {path.name for path in output.iterdir()} == {"old.txt", "new.txt"}
    assert (code / "deep/other").resolve() == output.resolve()


def test_more_objects_than_a_page_holds_are_all_listed() -> None:
    class Client:
        """S3 with one object a page."""

        def list_objects_v2(self, *, Bucket: str, Prefix: str, ContinuationToken: str = "0") -> dict[str, Any]:
            number = int(ContinuationToken)
            entry = {"Key": f"{Prefix}{number}", "Size": number, "ETag": f'"{number}"'}
            further = {"IsTruncated": True, "NextContinuationToken": str(number + 1)} if number < 2 else {}
            return {"IsTruncated": False, "Contents": [entry], **further}

    listed = S3DataStore(Client()).list("pictures", "train/")

    assert [found.key for found in listed] == ["train/0", "train/1", "train/2"]
