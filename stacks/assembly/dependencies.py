"""The dependencies of the functions, installed for Lambda from their lock file."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uv

_INSTALLER_NOTES: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "uv_cache.json", "direct_url.json"})
"""Files of a `.dist-info` that say how and from where it was installed, not what it is."""

_NEVER_IMPORTED: Final = ("aws_lambda_powertools/event_handler/", "pydantic/v1/", "pydantic/mypy.py")
"""Large parts of dependencies that nothing of ours and nothing that we import asks for: functions start sooner and the
wheel is smaller without them. A test imports every handler from the archive alone."""


class WrongWheelError(Exception):
    """A wheel that the deployed runtime cannot load."""


@dataclass(frozen=True)
class Target:
    """What the dependencies are for."""

    name: str
    options: tuple[str, ...]
    tags: tuple[str, ...]
    """Endings of the wheel tags that may be in it."""


LAMBDA: Final = Target(
    name="lambda",
    # Lambda's Python 3.13 runs on Amazon Linux 2023, whose glibc is newer than manylinux2014 asks for.
    options=("--python-platform", "aarch64-manylinux2014", "--python-version", "3.13", "--only-binary", ":all:"),
    tags=("-none-any", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
)


def install(requirements: Path, target: Target, kept: Path) -> Path:
    """Install into a folder that is kept for the next build; answers the folder.

    Raises WrongWheelError when a wheel is not for the target, and CalledProcessError when uv fails.
    """
    folder = kept / f"{target.name}-{_fingerprint(requirements, target)}"
    if folder.is_dir():
        return folder
    kept.mkdir(parents=True, exist_ok=True)
    unfinished = kept / f"{folder.name}.{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--require-hashes"]
    subprocess.run(
        [*command, "--target", str(unfinished), "--requirements", str(requirements), *target.options], check=True
    )
    refuse_foreign_wheels(unfinished, target)
    unfinished.replace(folder)
    return folder


def refuse_foreign_wheels(folder: Path, target: Target) -> None:
    """Raise WrongWheelError unless every wheel in the folder carries a tag of the target."""
    for wheel in sorted(folder.glob("*.dist-info/WHEEL")):
        tags = wheel_tags(wheel)
        if not any(tag.endswith(target.tags) for tag in tags):
            raise WrongWheelError(f"{wheel.parent.name} is built for {', '.join(tags)}, not for {target.name}")


def wheel_tags(wheel: Path) -> list[str]:
    """Tags of an installed wheel, e.g. `py3-none-any` (Binary distribution format, "The .dist-info directory")."""
    lines = wheel.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("Tag: ").strip() for line in lines if line.startswith("Tag: ")]


def files_of(folder: Path) -> list[tuple[str, Path]]:
    """Files that the functions need, as (name in the archive, path): no scripts, caches or installer's notes."""
    chosen: list[tuple[str, Path]] = []
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if not path.is_file() or parts[0] == "bin" or "__pycache__" in parts or path.name == ".lock":
            continue
        if parts[0].endswith(".dist-info") and path.name in _INSTALLER_NOTES:
            continue
        name = "/".join(parts)
        if not name.startswith(_NEVER_IMPORTED):
            chosen.append((name, path))
    return chosen


def _fingerprint(requirements: Path, target: Target) -> str:
    """Changes with the lock file and the options."""
    digest = hashlib.sha256(requirements.read_bytes())
    digest.update(repr(target.options).encode())
    return digest.hexdigest()[:16]
