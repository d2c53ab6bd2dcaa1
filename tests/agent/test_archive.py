"""The agent's archive: reproducible, whole, and small."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from runctl import agent
from stacks.agent_archive import ROOT, pack_agent


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    for name in (
        "botocore/__init__.py",
        "botocore/__pycache__/x.cpython-311.pyc",
        "botocore/data/_retry.json",
        "botocore/data/s3/2006-03-01/service-2.json.gz",
        "botocore/data/s3/2006-03-01/waiters-2.json.gz",
        "botocore/data/ec2/2016-11-15/service-2.json.gz",
        "botocore-1.0.dist-info/RECORD",
        "botocore-1.0.dist-info/LICENSE.txt",
        "bin/jp.py",
    ):
        file = tmp_path / "packages" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "packages"


def _members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {member.name: member for member in tar}


def test_archive_is_the_same_whenever_it_is_built(packages: Path) -> None:
    first = pack_agent(packages)
    for path in packages.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700)

    assert pack_agent(packages) == first


def test_archive_holds_the_agent_and_only_what_it_needs_of_botocore(packages: Path) -> None:
    members = _members(pack_agent(packages))

    ours = {f"lib/runctl/agent/{path.name}" for path in Path(agent.__file__).parent.glob("*.py")}
    assert set(members) == (ours - {"lib/runctl/agent/bootstrap.py"}) | {
        "bin/runctl-agent",
        "lib/runctl/__init__.py",
        "lib/botocore/__init__.py",
        "lib/botocore/data/_retry.json",
        "lib/botocore/data/s3/2006-03-01/service-2.json.gz",
        "lib/botocore-1.0.dist-info/LICENSE.txt",
    }
    assert list(members) == sorted(members)


def test_only_the_command_is_executable_and_nothing_tells_who_built_it(packages: Path) -> None:
    members = _members(pack_agent(packages)).values()

    assert {member.name for member in members if member.mode & 0o111} == {"bin/runctl-agent"}
    assert {(member.uid, member.gid, member.uname, member.gname, member.mtime) for member in members} == {
        (0, 0, "", "", 0)
    }


def test_agent_asks_nothing_of_botocore_that_the_archive_leaves_out() -> None:
    sources = {path.name: path.read_text() for path in (ROOT / "runctl" / "agent").glob("*.py")}

    assert [name for name, text in sources.items() if "get_paginator" in text or "get_waiter" in text] == []
