"""The machine's own cache of packages: what an attempt leaves to the next one of its run, which then asks no index.

uv's cache is what is kept, not the environment made from it: an environment holds paths, links and compiled files of
one machine, while uv checks what it takes from its cache and installs it as it would any other.
"""

import hashlib
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from runctl.agent import package_pack
from runctl.agent.environment import machine_environment
from runctl.agent.job import KeptPackages
from runctl.agent.packages import LOCK, Packages
from runctl.agent.resume import Links, fetch_linked
from runctl.agent.run_log import RunLog
from runctl.agent.setup_command import run_setup_command
from runctl.agent.setup_error import SetupError

CACHE: Final = "cache"
PYTHONS: Final = "python"
UV: Final = "bin/uv"

PACKED: Final = (CACHE, PYTHONS, UV)
"""The program is kept with its cache: another version of it may want another cache."""

SHARED: Final = "UV_CACHE_DIR"
"""Set where machines have a cache in common already, as on the local target: then nothing is kept in the bucket."""


class PackageCache:
    """What uv keeps below the agent's tools."""

    def __init__(self, tools: Path, machine: Mapping[str, str]) -> None:
        self._tools = tools
        self.is_own = not machine.get(SHARED)

    def variables(self, *, offline: bool = False) -> dict[str, str]:
        """What tells uv to use it, and nothing else when it is offline."""
        if not self.is_own:
            return {}
        variables = {SHARED: str(self._tools / CACHE), "UV_PYTHON_INSTALL_DIR": str(self._tools / PYTHONS)}
        return variables | ({"UV_OFFLINE": "1"} if offline else {})

    def fill(
        self, kept: KeptPackages, links: Links, folder: Path, log: RunLog, cancelled: Callable[[], bool]
    ) -> str | None:
        """Fetch what an earlier attempt left, and check it. Answers why it cannot be used, None when it can.

        Raises SetupCancelledError when somebody asked for the end.
        """
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True)
            problem = fetch_linked(kept.files, folder, links, cancelled)
            if problem is None:
                self._tools.mkdir(parents=True, exist_ok=True)
                run_setup_command(
                    (sys.executable, "-I", "-S", package_pack.__file__, "unpack", str(folder), str(self._tools)),
                    name="unpacking the packages",
                    log=log,
                    cancelled=cancelled,
                    environment=machine_environment({}),
                )
        except (OSError, SetupError) as error:
            problem = str(error)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return problem


def content_of(packages: Packages, project: Path, *, with_pip: bool) -> str:
    """Name what an environment is made of: the files that say so, the Python and the machine."""
    digest = hashlib.sha256()
    libc = "-".join(platform.libc_ver())
    for fact in (packages.kind, with_pip, platform.python_version(), sys.platform, platform.machine(), libc):
        digest.update(f"{fact}\0".encode())
    for file in _files(packages, project):
        with suppress(OSError):  # there is not always a lock
            digest.update(f"{file.relative_to(project)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()


def _files(packages: Packages, project: Path) -> tuple[Path, ...]:
    folder = packages.file.parent
    locks = [folder / LOCK]
    while folder != project and project in folder.parents:
        folder = folder.parent
        locks.append(folder / LOCK)
    return (packages.file, *locks)
