"""The user data: small, for old Pythons, and it runs only what was deployed."""

import ast
import http.server
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from runctl.agent import bootstrap as unfilled

SOURCE = Path(unfilled.__file__)
PLACEHOLDERS = ("ASSET_BUCKET", "AGENT_KEY", "AGENT_SHA256", "BUS_NAME", "BUCKET", "MACHINE_ROLE_ID")


def _agent() -> bytes:
    """An agent that only says what it was started with."""
    buffer = io.BytesIO()
    script = b'#!/bin/sh\necho "$* $RUNCTL_ROOT" > "$RUNCTL_ROOT/announced"\n'
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("bin/runctl-agent")
        member.size, member.mode = len(script), 0o755
        tar.addfile(member, io.BytesIO(script))
    return buffer.getvalue()


class _Handler(http.server.BaseHTTPRequestHandler):
    """IMDS below /imds/i-1/, and S3 by path."""

    archive = _agent()
    paths: list[str] = []
    failures = 0
    role: str | None = None

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_PUT(self) -> None:
        self._answer(b"token")

    def do_GET(self) -> None:
        _Handler.paths.append(self.path)
        if _Handler.failures:
            _Handler.failures -= 1
            self._answer(b"", 503)
        elif self.path == "/assets/agent/a%20b.tar.gz":
            self._answer(self.archive)
        elif self.path == "/imds/i-1/latest/meta-data/iam/security-credentials/":
            self._answer(b"machine-role")
        elif self.path == "/imds/i-1/latest/meta-data/iam/security-credentials/machine-role":
            self._answer(json.dumps({"AccessKeyId": "AK", "SecretAccessKey": "SK", "Token": "T"}).encode())
        elif self.path == "/imds/i-1/latest/meta-data/tags/instance/runctl:role" and _Handler.role:
            self._answer(_Handler.role.encode())
        else:
            self._answer(b"", 404)

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def endpoint() -> Iterator[str]:
    _Handler.paths.clear()
    _Handler.failures = 0
    _Handler.role = None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def _fill(folder: Path, digest: str) -> Path:
    values = ("assets", "agent/a b.tar.gz", digest, "runctl-bus", "bucket", "AROAEXAMPLE")
    text = SOURCE.read_text()
    for name, value in zip(PLACEHOLDERS, values, strict=True):
        text = text.replace(f"@{name}@", value)
    file = folder / "user-data"
    file.write_text(text)
    file.chmod(0o700)
    return file


def _run(user_data: Path, root: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
        "RUNCTL_ROOT": str(root),
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{endpoint}/imds/i-1/",
    }
    return subprocess.run([str(user_data)], env=environment, capture_output=True, text=True, check=False, timeout=20)


def _as_module(user_data: Path) -> ModuleType:
    module = ModuleType("user_data")
    exec(compile(user_data.read_text(), str(user_data), "exec"), module.__dict__)  # the file as it was filled in
    return module


def test_user_data_fits_and_holds_each_placeholder_once() -> None:
    text = SOURCE.read_text()

    assert len(text.encode()) <= 12 * 1024
    assert text.startswith("#!/usr/bin/env python3\n")
    assert [text.count(f'"@{name}@"') for name in PLACEHOLDERS] == [1] * len(PLACEHOLDERS)
    assert text.count("@") == 2 * len(PLACEHOLDERS) + text.count(" @ ")  # no other that could be taken for one


def test_user_data_needs_no_newer_python_than_3_9_and_the_standard_library_only() -> None:
    tree = ast.parse(SOURCE.read_text(), feature_version=(3, 9))

    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module.split(".")[0] for module in modules} <= sys.stdlib_module_names
    assert not any(isinstance(node, ast.Match) for node in ast.walk(tree))


def test_machine_is_made_ready_and_handed_over_to_the_agent(tmp_path: Path, endpoint: str) -> None:
    digest = sha256(_Handler.archive).hexdigest()
    root = tmp_path / "opt"

    ran = _run(_fill(tmp_path, digest), root, endpoint)

    assert ran.returncode == 0, ran.stderr
    assert (root / "announced").read_text() == f"announce {root}\n"
    assert (root / "agent" / "current").resolve() == (root / "agent" / digest).resolve()
    assert json.loads((root / "machine.json").read_text()) == {
        "bucket": "bucket",
        "bus_name": "runctl-bus",
        "machine_role_id": "AROAEXAMPLE",
        "region": "eu-central-1",
        "python_install_s": 0.0,
    }
    python = (root / "python").read_text().strip()
    subprocess.run([python, "-c", "import sys; assert sys.version_info >= (3, 11)"], check=True)


def test_the_time_is_measured_that_installing_a_python_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 31.5])
    monkeypatch.setattr(unfilled.time, "monotonic", lambda: next(moments))
    monkeypatch.setattr(unfilled, "find_python", lambda: None)
    monkeypatch.setattr(unfilled, "install_python", lambda: "/usr/bin/python3.11")

    assert unfilled.make_sure_of_python() == ("/usr/bin/python3.11", 21.5)


def test_role_that_the_launch_noted_in_a_tag_is_the_machines(tmp_path: Path, endpoint: str) -> None:
    _Handler.role = "AROAOTHER"

    done = _run(_fill(tmp_path, sha256(_Handler.archive).hexdigest()), tmp_path / "root", endpoint)

    assert done.returncode == 0, done.stdout
    assert json.loads((tmp_path / "root" / "machine.json").read_text())["machine_role_id"] == "AROAOTHER"


def test_second_boot_uses_the_agent_that_is_there(tmp_path: Path, endpoint: str) -> None:
    user_data = _fill(tmp_path, sha256(_Handler.archive).hexdigest())
    _run(user_data, tmp_path / "opt", endpoint)
    _Handler.paths.clear()

    ran = _run(user_data, tmp_path / "opt", endpoint)

    assert ran.returncode == 0
    assert not any("assets" in path for path in _Handler.paths)


def test_archive_with_another_hash_is_never_unpacked(tmp_path: Path, endpoint: str) -> None:
    module = _as_module(_fill(tmp_path, "0" * 64))
    module.__dict__["object_url"] = lambda region: f"{endpoint}/assets/agent/a%20b.tar.gz"
    module.__dict__["role_credentials"] = lambda: ("AK", "SK", "T")

    with pytest.raises(ValueError, match="has hash"):
        module.fetch_agent(tmp_path / "archive", "eu-central-1")


def test_failure_of_the_network_is_tried_again(tmp_path: Path, endpoint: str) -> None:
    _Handler.failures = 1

    ran = _run(_fill(tmp_path, sha256(_Handler.archive).hexdigest()), tmp_path / "opt", endpoint)

    assert ran.returncode == 0
    assert "503" in ran.stdout


def test_signature_is_the_one_that_botocore_makes(tmp_path: Path) -> None:
    module = _as_module(_fill(tmp_path, "0" * 64))
    url = "https://assets.s3.eu-central-1.amazonaws.com/agent/a%20b.tar.gz"
    theirs = AWSRequest("GET", url)
    S3SigV4Auth(Credentials("AK", "SK", "T"), "s3", "eu-central-1").add_auth(theirs)
    when = time.strptime(theirs.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")

    ours = module.signed_get(url, "eu-central-1", ("AK", "SK", "T"), when)

    assert ours.get_header("Authorization") == theirs.headers["Authorization"]


@pytest.mark.parametrize(
    ("bucket", "region", "url"),
    [
        ("assets", "eu-central-1", "https://assets.s3.eu-central-1.amazonaws.com/agent/a%20b.tar.gz"),
        ("my.assets", "us-east-1", "https://s3.us-east-1.amazonaws.com/my.assets/agent/a%20b.tar.gz"),
        ("assets", "cn-north-1", "https://assets.s3.cn-north-1.amazonaws.com.cn/agent/a%20b.tar.gz"),
    ],
)
def test_object_is_named_as_the_region_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: str, region: str, url: str
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    module = _as_module(_fill(tmp_path, "0" * 64))
    module.__dict__["ASSET_BUCKET"] = bucket

    assert module.object_url(region) == url
