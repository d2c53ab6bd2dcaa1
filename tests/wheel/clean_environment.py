"""A virtual environment that holds the wheel and what its metadata asks for, made without an index.

The dependencies are the files that this environment already has, linked by their own records: what the metadata forgets
is not there. Beside them stand modules of a user's own with the names that our folders have.
"""

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

import uv
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOREIGN: Final = ("agent", "cli", "lambdas", "local", "stacks", "training")
"""Names that a user's own modules may well have, and our folders have too."""


class CleanEnvironment:
    """One environment; everything in it runs with nothing of this one's variables or paths."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        venv.create(folder, with_pip=False, symlinks=True)
        self.home.mkdir()
        self.python = folder / "bin" / "python"
        self.program = folder / "bin" / "runctl"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.packages = folder / "lib" / version / "site-packages"
        for name in FOREIGN:
            (self.packages / f"{name}.py").write_text(f"raise ImportError('{name} is not for runctl to import')\n")

    def install(self, wheel: Path, extra: str = "") -> None:
        """Install the wheel, and of what it requires what is installed here."""
        # Into this folder alone, with no dependency, so that no index is asked.
        command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-deps", "--python", self.python]
        subprocess.run([*command, wheel], check=True)
        ours = Distribution.at(next(self.packages.glob("runctl-*.dist-info")))
        for name in required_by(ours, extra):
            self._link(distribution(name))

    def install_from_index(self, wheel: Path, extra: str = "") -> None:
        """Install the wheel and what it requires as a user would, compiled."""
        command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--compile-bytecode", "--python", self.python]
        subprocess.run([*command, f"{wheel}[{extra}]" if extra else wheel], check=True)

    def installed_bytes(self) -> int:
        """Size of what is installed, bytecode that was compiled too."""
        return sum(path.stat().st_size for path in self.packages.rglob("*") if path.is_file())

    def run(self, folder: Path, *command: str | Path, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command in a folder, with a path that has no Node and no clone on it."""
        return subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def environment(self) -> dict[str, str]:
        """Variables: packages come from the cache that the build of this environment filled, where they are needed."""
        passed_on = {name: text for name, text in os.environ.items() if name.startswith(("UV_", "PIP_", "SSL_"))}
        uv_cache = subprocess.run([uv.find_uv_bin(), "cache", "dir"], capture_output=True, text=True, check=True)
        return {
            "UV_CACHE_DIR": uv_cache.stdout.strip(),
            **passed_on,
            "HOME": str(self.home),
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }

    def _link(self, wanted: Distribution) -> None:
        here = Path(sysconfig.get_path("purelib"))
        for file in wanted.files or ():
            source = Path(str(wanted.locate_file(file)))
            # Programs lie at ../../../bin, from the packages.
            target = Path(os.path.normpath(self.packages / source.relative_to(here)))
            if "__pycache__" in source.parts or not source.is_file() or _names_a_python(source):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                os.link(source, target)


def required_by(root: Distribution, extra: str) -> set[str]:
    """Names of all distributions that a distribution asks for with an extra, and those that they ask for."""
    wanted: set[str] = set()
    waiting = list(_requirements(root, (extra,)))
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in wanted:
            wanted.add(name)
            waiting += _requirements(distribution(name), tuple(requirement.extras))
    return wanted


def _requirements(of: Distribution, extras: tuple[str, ...]) -> Iterable[Requirement]:
    for text in of.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield requirement


def _names_a_python(source: Path) -> bool:
    """Whether a script begins with the path of this environment's Python."""
    if source.parent.name != "bin":
        return False
    with source.open("rb") as file:
        return file.read(2) == b"#!"
