"""Which file of a project names the packages of its training."""

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from runctl.agent.setup_error import SetupError

LOCK = "uv.lock"
PROJECT = "pyproject.toml"
REQUIREMENTS = "requirements.txt"

_HEADER = re.compile(r"(?m)^# /// script\s*$\n(?:^#(?: .*)?$\n)*^# ///\s*$")
"""Inline script metadata (PEP 723), which may follow anything but must be comments without a gap."""


class PackagesKind(StrEnum):
    """How packages are named."""

    LOCKED_PROJECT = "locked project"
    PROJECT = "project"
    REQUIREMENTS = "requirements"
    SCRIPT = "script"


@dataclass(frozen=True)
class Packages:
    """A file that names packages."""

    kind: PackagesKind
    file: Path
    """`pyproject.toml`, `requirements.txt`, or the script itself."""


def find_packages(project: Path, start: str) -> Packages | None:
    """Find what names the packages of the script `start`, or of a training in the folder `start`.

    The nearest folder that has a file wins, from the script's own up to the project's root; in one folder
    pyproject.toml before requirements.txt. Where there is neither, the script's own header counts. Raises SetupError
    for a pyproject.toml that cannot be read.
    """
    script = project / start
    folder = script if script.is_dir() else script.parent
    while True:
        found = _in_folder(folder, project)
        if found is not None:
            return found
        if folder == project or project not in folder.parents:
            return Packages(PackagesKind.SCRIPT, script) if _has_header(script) else None
        folder = folder.parent


def _in_folder(folder: Path, project: Path) -> Packages | None:
    requirements = folder / REQUIREMENTS
    has_requirements = requirements.is_file()
    settings = _read(folder / PROJECT)
    about: dict[str, Any] | None = settings.get("project")
    # Many a pyproject.toml only holds the settings of tools, or a name beside a requirements.txt that has the packages.
    if about is not None and (_names_packages(about) or not has_requirements):
        is_locked = (folder / LOCK).is_file() or _is_in_locked_workspace(folder, project)
        kind = PackagesKind.LOCKED_PROJECT if is_locked else PackagesKind.PROJECT
        return Packages(kind, folder / PROJECT)
    return Packages(PackagesKind.REQUIREMENTS, requirements) if has_requirements else None


def _names_packages(about: dict[str, Any]) -> bool:
    return "dependencies" in about or "dependencies" in about.get("dynamic", ())


def _is_in_locked_workspace(folder: Path, project: Path) -> bool:
    """Whether a folder above has the lock of a workspace, which holds for its members (uv's guide, "Workspaces")."""
    while folder != project and project in folder.parents:
        folder = folder.parent
        if (folder / LOCK).is_file():
            return "workspace" in _read(folder / PROJECT).get("tool", {}).get("uv", {})
    return False


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SetupError(f"the project's {file.name} cannot be read: {error}") from error


def _has_header(script: Path) -> bool:
    if script.suffix != ".py" or not script.is_file():
        return False
    return _HEADER.search(script.read_text(encoding="utf-8", errors="replace")) is not None
