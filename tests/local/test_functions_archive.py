"""The functions' archive for this machine: built of the deployed one and the lock file, once."""

import hashlib
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from runctl.assembly import Assembly, Asset
from runctl.local.functions_archive import DependenciesNotInstalled, default_cache, for_this_machine


@pytest.fixture
def assembly() -> Assembly:
    """Two archives; the functions' one carries a dependency that no Python here can load."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("runctl/errors.py", "ours")
        archive.writestr("lambdas/admit_run/handler.py", "ours too")
        archive.writestr("fast/core.cpython-313-aarch64-linux-gnu.so", "compiled")
    functions = packed.getvalue()
    return Assembly(
        "{}",
        "0",
        (
            Asset("a.zip", functions, hashlib.sha256(functions).hexdigest(), b""),
            Asset("b.gz", b"agent", "agent's"),
        ),
    )


def locked_as(assembly: Assembly, requirements: bytes) -> Assembly:
    """The same archives with another lock file."""
    functions, agent = assembly.assets
    return replace(assembly, assets=(replace(functions, requirements=requirements), agent))


def test_our_code_is_kept_and_foreign_dependencies_are_left_out(assembly: Assembly, tmp_path: Path) -> None:
    functions, agent = for_this_machine(assembly, tmp_path / "cache", print).assets

    with zipfile.ZipFile(BytesIO(functions.content)) as archive:
        names = archive.namelist()
    assert names == ["lambdas/admit_run/handler.py", "runctl/errors.py"]
    assert functions.key == "a.zip"
    assert functions.sha256 == hashlib.sha256(functions.content).hexdigest()
    assert agent == assembly.assets[1]


def test_what_is_kept_is_not_built_again(assembly: Assembly, tmp_path: Path) -> None:
    said: list[str] = []
    first = for_this_machine(assembly, tmp_path / "cache", said.append)
    (kept,) = (tmp_path / "cache").iterdir()
    built_at = kept.stat().st_ino

    second = for_this_machine(assembly, tmp_path / "cache", said.append)

    assert second == first
    assert kept.stat().st_ino == built_at
    assert len(said) == 1


def test_another_lock_file_is_another_archive(assembly: Assembly, tmp_path: Path) -> None:
    for_this_machine(assembly, tmp_path / "cache", print)

    for_this_machine(locked_as(assembly, b"# changed\n"), tmp_path / "cache", print)

    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_archives_that_nobody_uses_are_forgotten(assembly: Assembly, tmp_path: Path) -> None:
    for number in range(6):
        for_this_machine(locked_as(assembly, f"# {number}\n".encode()), tmp_path / "cache", print)

    assert len(list((tmp_path / "cache").iterdir())) == 4


def test_what_cannot_be_installed_is_told_with_uvs_own_words(assembly: Assembly, tmp_path: Path) -> None:
    with pytest.raises(DependenciesNotInstalled, match="must have a hash") as told:
        for_this_machine(locked_as(assembly, b"no-hash==1.0\n"), tmp_path / "cache", print)

    assert "UV_DEFAULT_INDEX" in told.value.hint
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert default_cache() == tmp_path / "runctl" / "functions"
