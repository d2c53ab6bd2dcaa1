"""What the wheel holds and says of itself."""

import hashlib
import json
import subprocess
import tomllib
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import runctl
from stacks.assembly.layout import ASSEMBLY, REPOSITORY

LARGEST = 20_000_000
METADATA = f"runctl-{runctl.__version__}.dist-info"


@pytest.fixture(scope="session")
def files(wheel: Path) -> dict[str, bytes]:
    """Contents by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="session")
def metadata(files: dict[str, bytes]) -> Message:
    """Core metadata, read as an installer reads it."""
    return BytesParser().parsebytes(files[f"{METADATA}/METADATA"])


def test_it_fits_any_python_and_is_small(wheel: Path) -> None:
    assert wheel.name == f"runctl-{runctl.__version__}-py3-none-any.whl"
    assert wheel.stat().st_size <= LARGEST


def test_it_installs_two_packages_and_nothing_else(files: dict[str, bytes]) -> None:
    assert {name.split("/")[0] for name in files} == {"runctl", "runctl_cli", METADATA}


def test_it_holds_every_tracked_file_of_its_packages_and_the_assembly(files: dict[str, bytes]) -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "runctl", "cli/runctl_cli"]
    told = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    in_the_archives = ("runctl/agent/", "runctl/controller/")
    tracked = {
        name.removeprefix("cli/")
        for name in told.split("\0")
        if name and (REPOSITORY / name).is_file() and not name.startswith(in_the_archives)
    }
    manifest = json.loads((ASSEMBLY / "manifest.json").read_bytes())
    carried = {asset[name] for asset in manifest["assets"] for name in ("path", "requirements") if asset[name]}

    packaged = {name for name in files if not name.startswith(METADATA)}

    assert packaged == tracked | {f"runctl/_assembly/{name}" for name in (*carried, "manifest.json", "template.json")}


def test_the_assembly_in_it_is_whole(files: dict[str, bytes]) -> None:
    manifest = json.loads(files["runctl/_assembly/manifest.json"])

    assert manifest["runctl_version"] == runctl.__version__
    assert hashlib.sha256(files["runctl/_assembly/template.json"]).hexdigest() == manifest["template_sha256"]
    for asset in manifest["assets"]:
        assert hashlib.sha256(files[f"runctl/_assembly/{asset['path']}"]).hexdigest() == asset["sha256"]


def test_what_is_compiled_is_for_lambda_and_lies_in_its_archive(files: dict[str, bytes]) -> None:
    assert not [name for name in files if name.endswith((".so", ".pyc", ".dylib", ".pyd"))]


def test_its_metadata_says_what_pyproject_says(metadata: Message) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    required = metadata.get_all("Requires-Dist") or []

    assert metadata["Name"] == "runctl"
    assert metadata["Version"] == project["version"] == runctl.__version__
    assert metadata["Requires-Python"] == project["requires-python"]
    assert metadata.get_all("Provides-Extra") == ["local"]
    assert len(required) == len(project["dependencies"]) + len(project["optional-dependencies"]["local"])


def test_the_command_line_alone_asks_for_no_emulator(metadata: Message) -> None:
    required = metadata.get_all("Requires-Dist") or []
    thin = {canonicalize_name(Requirement(text).name) for text in required if "extra" not in text}

    assert thin == {"boto3", "click", "pathspec", "pydantic", "ruamel-yaml"}


def test_its_one_program_is_runctl(files: dict[str, bytes]) -> None:
    assert (
        files[f"{METADATA}/entry_points.txt"].decode().strip()
        == "[console_scripts]\nrunctl = runctl_cli.__main__:program"
    )
