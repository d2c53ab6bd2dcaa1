"""The agent's archive: reproducible, whole, and small."""

import gzip
import io
import json
import os
import re
import tarfile
from pathlib import Path

import botocore
import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import Shape
from botocore.session import Session

from runctl import agent
from stacks.agent_archive import ROOT, needed_data, pack_agent
from stacks.aws_descriptions import CALLS, cut, described

DESCRIPTION = {
    "documentation": "<p>Keeps objects.</p>",
    "operations": {
        "GetObject": {"input": {"shape": "GetObjectRequest"}, "documentation": "<p>Reads one.</p>"},
        "PutBucketPolicy": {"input": {"shape": "PutBucketPolicyRequest"}},
    },
    "shapes": {
        "GetObjectRequest": {"type": "structure", "members": {"documentation": {"shape": "Key", "documentation": "!"}}},
        "Key": {"type": "string"},
        "PutBucketPolicyRequest": {"type": "structure", "members": {}},
    },
}


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
        file.write_bytes(gzip.compress(json.dumps(DESCRIPTION).encode()) if name.endswith(".gz") else name.encode())
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


def test_description_holds_the_calls_that_are_made_with_what_they_need() -> None:
    found = described(DESCRIPTION, frozenset({"GetObject"}))

    assert found == {
        "documentation": "<p>Keeps objects.</p>",
        "operations": {"GetObject": {"input": {"shape": "GetObjectRequest"}}},
        "shapes": {
            "GetObjectRequest": {"type": "structure", "members": {"documentation": {"shape": "Key"}}},
            "Key": {"type": "string"},
        },
    }


def _shapes(shape: Shape | None, seen: set[str]) -> None:
    if shape is None or shape.name in seen:
        return
    seen.add(shape.name)
    inner = [getattr(shape, each, None) for each in ("member", "key", "value")]
    for each in (*getattr(shape, "members", {}).values(), *inner):
        _shapes(each, seen)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session of botocore that finds what the archive carries, and nothing else."""
    data = Path(botocore.__file__).parent / "data"
    for path in needed_data(data):
        copy = tmp_path / path.relative_to(data)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(cut(path))
    made = Session()
    made.register_component("data_loader", Loader([str(tmp_path)], include_default_search_paths=False))
    made.set_credentials("testing", "testing")
    return made


@pytest.mark.parametrize("service", CALLS)
def test_every_call_is_described_to_its_last_shape(session: Session, service: str) -> None:
    client = session.create_client(service, region_name="eu-central-1")
    model = client.meta.service_model

    for name in model.operation_names:
        operation = model.operation_model(name)
        for shape in (operation.input_shape, operation.output_shape, *operation.error_shapes):
            _shapes(shape, set())

    assert set(model.operation_names) == CALLS[service]
    assert client.meta.endpoint_url.endswith("eu-central-1.amazonaws.com")


def test_call_is_signed_and_sent_as_by_whole_botocore(session: Session) -> None:
    client = session.create_client("s3", region_name="eu-central-1")

    link = client.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "key"})

    assert link.startswith("https://bucket.s3.eu-central-1.amazonaws.com/key?X-Amz-Algorithm=AWS4-HMAC-SHA256")


def test_every_call_that_the_agent_makes_is_described() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "runctl" / "agent").glob("*.py"))
    made = set(re.findall(r"client\.([a-z]+_[a-z0-9_]+)\(", sources))

    described_ones = {xform_name(call) for calls in CALLS.values() for call in calls}
    assert len(made) > 10
    assert made <= described_ones
    assert described_ones - made == {"head_bucket"}
