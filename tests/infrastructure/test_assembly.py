"""What is built of the sources: the archive of functions, the agent's, and the manifest."""

import hashlib
import json
import os
import re
import shutil
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import runctl
from runctl.assembly import load_assembly
from runctl.checkout import hash_of_inputs
from runctl.errors import AssemblyDamaged, AssemblyStale
from runctl.local.functions_archive import default_cache, for_this_machine
from stacks import build_assembly
from stacks.agent_archive import build_agent_archive
from stacks.assembly import dependencies
from stacks.assembly.dependencies import WrongWheelError
from stacks.assembly.lambda_archive import build_lambda_archive
from stacks.assembly.layout import KEPT, LAMBDA_REQUIREMENTS, REPOSITORY
from stacks.assembly.zip_archive import write_zip
from tests.infrastructure.deployed_template import DeployedTemplate


@pytest.fixture
def manifest(assembly: Path) -> dict[str, Any]:
    """The manifest as a deployer reads it."""
    read: dict[str, Any] = json.loads((assembly / "manifest.json").read_bytes())
    return read


@pytest.fixture
def deployed(assembly: Path) -> dict[str, bytes]:
    """Files of the archive for Lambda."""
    return contents(assembly / "assets" / "lambda.zip")


@pytest.fixture
def local(assembly: Path) -> dict[str, bytes]:
    """Files of the archive for this machine's Python."""
    functions, _ = for_this_machine(load_assembly(assembly), default_cache(), print).assets
    return contents(BytesIO(functions.content))


def contents(path: Path | BytesIO) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def sources(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name.endswith(".py")}


def versions(files: dict[str, bytes]) -> set[str]:
    """Names and versions of what was installed, from the folders of its metadata."""
    return {name.split(".dist-info/")[0] for name in files if ".dist-info/" in name}


def test_the_manifest_says_what_is_there(assembly: Path, manifest: dict[str, Any], template_bytes: bytes) -> None:
    assert manifest["version"] == 1
    assert manifest["runctl_version"] == runctl.__version__
    assert manifest["template_sha256"] == hashlib.sha256(template_bytes).hexdigest()
    assert [asset["path"] for asset in manifest["assets"]] == ["assets/lambda.zip", "assets/agent.tar.gz"]
    assert [asset["requirements"] for asset in manifest["assets"]] == ["assets/lambda-requirements.txt", None]
    assert (assembly / "assets" / "lambda-requirements.txt").read_bytes() == LAMBDA_REQUIREMENTS.read_bytes()
    for asset in manifest["assets"]:
        sha256 = hashlib.sha256((assembly / asset["path"]).read_bytes()).hexdigest()
        assert asset["sha256"] == sha256
        assert asset["key"].startswith(sha256)


def test_the_template_names_what_the_manifest_uploads(template: DeployedTemplate, manifest: dict[str, Any]) -> None:
    functions, agent = (asset["key"] for asset in manifest["assets"])
    (launch_template,) = template.of_type("AWS::EC2::LaunchTemplate").values()

    assert {f["Code"]["S3Key"] for f in template.of_type("AWS::Lambda::Function").values()} == {functions}
    assert f'AGENT_KEY = "{agent}"' in launch_template["LaunchTemplateData"]["UserData"]


def test_the_archive_for_this_machine_holds_the_same_sources_and_versions(
    deployed: dict[str, bytes], local: dict[str, bytes]
) -> None:
    assert sources(deployed) == sources(local)
    assert versions(deployed) == versions(local)
    assert any(version.startswith("pydantic-") for version in versions(deployed))


def test_every_wheel_of_the_deployed_archive_runs_on_lambda(deployed: dict[str, bytes]) -> None:
    tags = {
        line.removeprefix("Tag: ")
        for name, content in deployed.items()
        if name.endswith(".dist-info/WHEEL")
        for line in content.decode().splitlines()
        if line.startswith("Tag: ")
    }
    compiled = [name for name in deployed if name.endswith(".so")]

    assert tags
    assert all(re.fullmatch(r"(py\d|py3)-none-any|cp313-cp313-manylinux(2014|_2_17)_aarch64", tag) for tag in tags)
    assert compiled
    assert all(".cpython-313-aarch64-linux-gnu.so" in name for name in compiled)


def test_a_wheel_for_another_machine_is_refused(tmp_path: Path) -> None:
    metadata = tmp_path / "fast-1.0.dist-info"
    metadata.mkdir()
    (metadata / "WHEEL").write_text("Wheel-Version: 1.0\nTag: cp313-cp313-manylinux_2_17_x86_64\n")

    with pytest.raises(WrongWheelError, match=r"fast-1\.0"):
        dependencies.refuse_foreign_wheels(tmp_path, dependencies.LAMBDA)


def test_functions_do_not_carry_what_runs_elsewhere(deployed: dict[str, bytes]) -> None:
    rooms = {"/".join(name.split("/")[:2]) for name in deployed if name.startswith("runctl/")}

    assert {"runctl/controller", "runctl/model", "runctl/store", "runctl/aws", "runctl/policy"} <= rooms
    assert not rooms & {"runctl/local", "runctl/agent", "runctl/client", "runctl/_assembly"}
    assert not [name for name in deployed if name.startswith(("boto3/", "botocore/", "bin/")) or "__pycache__" in name]


def test_the_same_sources_give_the_same_archives(assembly: Path, tmp_path: Path) -> None:
    again = tmp_path / "lambda.zip"
    agent = tmp_path / "agent.tar.gz"

    build_lambda_archive(again, REPOSITORY, LAMBDA_REQUIREMENTS, dependencies.LAMBDA, KEPT)
    build_agent_archive(agent)

    assert again.read_bytes() == (assembly / "assets" / "lambda.zip").read_bytes()
    assert agent.read_bytes() == (assembly / "assets" / "agent.tar.gz").read_bytes()


def test_an_archive_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    files = [(name, tmp_path / name) for name in ("b.py", "a.py", "c.py")]
    for name, path in files:
        path.write_text(name)
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"

    write_zip(first, files)
    os.utime(tmp_path / "a.py", (1, 1))
    (tmp_path / "b.py").chmod(0o700)
    write_zip(second, reversed(files))

    assert first.read_bytes() == second.read_bytes()
    assert list(contents(first)) == ["a.py", "b.py", "c.py"]


def test_nothing_is_built_twice(assembly: Path) -> None:
    built_at = (assembly / "manifest.json").stat().st_mtime_ns
    began = time.monotonic()

    build_assembly.main()

    assert time.monotonic() - began < 1.0
    assert (assembly / "manifest.json").stat().st_mtime_ns == built_at


def test_half_an_assembly_is_built_again(assembly: Path, tmp_path: Path) -> None:
    copy = tmp_path / "assembly"
    shutil.copytree(assembly, copy)
    inputs = (copy / "inputs.sha256").read_text()
    whole = build_assembly.is_current(copy, inputs)

    (copy / "assets" / "lambda-requirements.txt").unlink()

    assert whole
    assert not build_assembly.is_current(copy, inputs)
    assert not build_assembly.is_current(assembly, "another")


def small_assembly(folder: Path, name: str) -> Path:
    """An assembly of one archive, as it is built beside the one that is in use."""
    built, archive = folder / name, name.encode() * 50_000
    (built / "assets").mkdir(parents=True)
    (built / "assets" / "a.zip").write_bytes(archive)
    (built / "assets" / f"only-of-{name}").write_bytes(b"")
    (built / "template.json").write_text(json.dumps({"Description": name}))
    listed = {"key": name, "path": "assets/a.zip", "sha256": hashlib.sha256(archive).hexdigest()}
    manifest = {
        "version": 1,
        "runctl_version": name,
        "template_sha256": hashlib.sha256((built / "template.json").read_bytes()).hexdigest(),
        "assets": [listed],
    }
    (built / "manifest.json").write_text(json.dumps(manifest))
    (built / "inputs.sha256").write_text(name)
    return built


def test_a_command_beside_a_build_reads_one_assembly_whole(tmp_path: Path) -> None:
    names = [f"build-{number}" for number in range(60)]
    in_use = tmp_path / "in-use"
    build_assembly.publish(small_assembly(tmp_path, "first"), in_use)
    built = [small_assembly(tmp_path, name) for name in names]

    def build_again_and_again() -> None:
        for each in built:
            build_assembly.publish(each, in_use)
            time.sleep(0.01)  # far more often than anybody builds

    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(build_again_and_again)
        read = []
        while not building.done():
            read.append(load_assembly(in_use))
        building.result()

    # A busy machine reads few of the sixty; two show that it read beside the building.
    assert len({assembly.template["Description"] for assembly in read}) >= 2
    for assembly in read:
        (asset,) = assembly.assets
        assert asset.key == assembly.template["Description"]
        assert asset.content == asset.key.encode() * 50_000
    assert [path.name for path in sorted((in_use / "assets").iterdir())] == ["a.zip", f"only-of-{names[-1]}"]


def test_a_damaged_assembly_is_told(tmp_path: Path) -> None:
    in_use = tmp_path / "in-use"
    build_assembly.publish(small_assembly(tmp_path, "first"), in_use)
    (in_use / "assets" / "a.zip").write_bytes(b"damaged")

    with pytest.raises(AssemblyDamaged, match=r"assets/a\.zip"):
        load_assembly(in_use)


def test_an_assembly_older_than_its_checkout_is_not_deployed(tmp_path: Path) -> None:
    in_use = tmp_path / "runctl" / "_assembly"
    build_assembly.publish(small_assembly(tmp_path / "build", "first"), in_use)
    for name in ("stacks/build_assembly.py", "lambdas/decide.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("before")
    (in_use / "inputs.sha256").write_text(hash_of_inputs(tmp_path))
    built = load_assembly(in_use)

    (tmp_path / "lambdas/decide.py").write_text("after")

    assert built.template["Description"] == "first"
    with pytest.raises(AssemblyStale, match="older than the code"):
        load_assembly(in_use)


@pytest.mark.parametrize("changed", ["runctl/errors.py", "lambdas/new/handler.py", "requirements/lambda.txt"])
def test_a_changed_input_changes_the_hash(tmp_path: Path, changed: str) -> None:
    for name in ("runctl/errors.py", "requirements/lambda.txt", "app.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("before")
    before = hash_of_inputs(tmp_path)

    (tmp_path / changed).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / changed).write_text("after")

    assert hash_of_inputs(tmp_path) != before


def test_what_is_built_and_the_local_cloud_are_no_inputs(tmp_path: Path) -> None:
    before = hash_of_inputs(tmp_path)

    for name in ("runctl/_assembly/template.json", "runctl/local/cloud.py", "lambdas/__pycache__/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")

    assert hash_of_inputs(tmp_path) == before
