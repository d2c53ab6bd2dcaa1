"""The functions' archive for this machine: the deployed one's own code, and dependencies for the Python that runs here.

An assembly carries compiled dependencies for Lambda's processor and Python only. What this machine needs is installed
from the assembly's lock file when it is first deployed here, and kept: a wheel then fits every machine, and a second
deployment costs nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Final

from runctl.assembly import Assembly, Asset
from runctl.local.errors import LocalCloudError

OWN_CODE: Final = ("runctl/", "lambdas/")
"""Folders of the archive that are ours and the same everywhere; all else is dependencies."""

_LAYOUT: Final = "2"
"""Of kept archives; another number builds them again."""

_KEPT: Final = 4
"""Archives to keep, some 10 MB each. Each change of a handler makes a new one."""

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_INSTALLER_NOTES: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "uv_cache.json", "direct_url.json"})
_SAID: Final = 12


class DependenciesNotInstalled(LocalCloudError):
    """The dependencies of the functions could not be installed for this machine."""

    code = "dependencies_not_installed"


def default_cache() -> Path:
    """Where archives are kept between deployments, for all projects of this user (XDG Base Directory Specification)."""
    told = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(told) if told.startswith("/") else Path.home() / ".cache"
    return base / "runctl" / "functions"


def for_this_machine(assembly: Assembly, cache: Path, say: Callable[[str], None]) -> Assembly:
    """The assembly with archives that this machine's Python can load. Raises `DependenciesNotInstalled`."""
    return replace(assembly, assets=tuple(_fitting(asset, cache, say) for asset in assembly.assets))


def _fitting(asset: Asset, cache: Path, say: Callable[[str], None]) -> Asset:
    if asset.requirements is None:
        return asset
    file = cache / f"{_fingerprint(asset, asset.requirements)}.zip"
    if file.is_file():
        file.touch()  # the archives that are used are the ones to keep
    else:
        say("Installing what the functions need for this machine's Python, once.")
        _build(file, asset.content, asset.requirements)
        _forget_old(cache)
    content = file.read_bytes()
    return replace(asset, content=content, sha256=hashlib.sha256(content).hexdigest())


def _fingerprint(asset: Asset, requirements: bytes) -> str:
    digest = hashlib.sha256(f"{_LAYOUT} {sys.implementation.cache_tag} {sysconfig.get_platform()}\0".encode())
    digest.update(f"{asset.sha256}\0".encode())
    digest.update(requirements)
    return digest.hexdigest()[:24]


def _build(file: Path, deployed: bytes, requirements: bytes) -> None:
    """Write the archive beside its place, then move it there: nobody reads half of one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".building-") as folder:
        installed, unfinished = Path(folder) / "installed", Path(folder) / "archive.zip"
        locked = Path(folder) / "requirements.txt"
        locked.write_bytes(requirements)
        _install(locked, installed)
        with zipfile.ZipFile(BytesIO(deployed)) as source:
            carried = set(source.namelist())
            own = [(name, source.read(name)) for name in carried if name.startswith(OWN_CODE)]
        # What the deployed archive leaves out of a package is left out here: a function that needs it fails here too.
        chosen = [(name, path) for name, path in _files(installed) if name in carried or not name.endswith(".py")]
        _write(unfinished, [*own, *((name, path.read_bytes()) for name, path in chosen)])
        unfinished.replace(file)


def _install(requirements: Path, target: Path) -> None:
    import uv

    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--require-hashes"]
    command += ["--python", sys.executable, "--target", str(target), "--requirements", str(requirements)]
    told = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if told.returncode != 0:
        said = "\n".join(told.stderr.strip().splitlines()[-_SAID:])
        raise DependenciesNotInstalled(
            f"What the functions need could not be installed for Python {sys.version.split()[0]}:\n{said}",
            hint="uv installs it. Where a mirror or a proxy is needed, set UV_DEFAULT_INDEX or HTTPS_PROXY.",
        )


def _files(folder: Path) -> Iterable[tuple[str, Path]]:
    """Files that the functions need, as (name in the archive, path)."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if not path.is_file() or parts[0] == "bin" or "__pycache__" in parts or path.name == ".lock":
            continue
        if not (parts[0].endswith(".dist-info") and path.name in _INSTALLER_NOTES):
            yield "/".join(parts), path


def _write(target: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Same content, same bytes: the deployer compares hashes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in sorted(files):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o100644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)


def _forget_old(cache: Path) -> None:
    """Remove the archives that have not been used for longest, and what an interrupted build left."""
    archives = sorted(cache.glob("*.zip"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in archives[_KEPT:]:
        old.unlink(missing_ok=True)
    for left in cache.glob(".building-*"):
        if left.stat().st_mtime < archives[0].stat().st_mtime - 3600:
            shutil.rmtree(left, ignore_errors=True)
