"""The archive of a project."""

import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from runctl.client.archive import ProjectArchive, write_archive
from runctl.client.project import ProjectFile, collect_files
from runctl.errors import InvalidSpec


def _project(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "train.py").write_text("print(1)\n")
    (folder / "sub/run.sh").write_text("#!/bin/sh\n")
    (folder / "sub/run.sh").chmod(0o700)
    (folder / "größe.txt").write_text("ä")
    return folder


def _archive(root: Path, name: str) -> ProjectArchive:
    return write_archive(collect_files(root).files, root.parent / name)


def test_same_files_make_the_same_archive_wherever_and_whenever(tmp_path: Path) -> None:
    first, second = _project(tmp_path / "one"), _project(tmp_path / "two")
    os.utime(second / "train.py", (1, 1))
    (second / "größe.txt").chmod(0o600)

    assert _archive(first, "1.tar.gz").code == _archive(second, "2.tar.gz").code


def test_archive_is_named_by_its_own_hash(tmp_path: Path) -> None:
    archive = _archive(_project(tmp_path / "p"), "p.tar.gz")

    content = archive.path.read_bytes()
    assert archive.code.sha256 == hashlib.sha256(content).hexdigest()
    assert archive.code.key == f"code/{archive.code.sha256}.tar.gz"
    assert archive.code.bytes == len(content)


def test_archive_holds_the_files_and_the_right_to_execute_and_nothing_of_this_machine(tmp_path: Path) -> None:
    archive = _archive(_project(tmp_path / "p"), "p.tar.gz")

    with tarfile.open(archive.path) as opened:
        entries = {entry.name: entry for entry in opened}
        text = opened.extractfile("train.py")
        assert text is not None
        assert text.read() == b"print(1)\n"
    assert sorted(entries) == ["größe.txt", "sub/run.sh", "train.py"]
    assert entries["sub/run.sh"].mode == 0o755
    assert entries["train.py"].mode == 0o644
    assert {(entry.uid, entry.gid, entry.uname, entry.mtime) for entry in entries.values()} == {(0, 0, "", 0)}
    assert all(entry.isreg() for entry in entries.values())


def test_changed_file_changes_the_name(tmp_path: Path) -> None:
    root = _project(tmp_path / "p")
    before = _archive(root, "1.tar.gz")
    (root / "train.py").write_text("print(2)\n")

    assert _archive(root, "2.tar.gz").code.key != before.code.key


def test_file_that_is_gone_meanwhile_is_told_by_name(tmp_path: Path) -> None:
    gone = ProjectFile("gone.py", tmp_path / "gone.py", 3)

    with pytest.raises(InvalidSpec, match=r"gone\.py cannot be packed"):
        write_archive([gone], tmp_path / "p.tar.gz")
