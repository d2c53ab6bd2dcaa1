"""Makes the Python that the training runs on: the packages that the project names, through uv, or the machine's own."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from runctl.agent.packages import Packages, PackagesKind
from runctl.agent.run_log import RunLog
from runctl.agent.setup_command import run_setup_command

_OURS = frozenset({"PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV", "PYTHONSTARTUP"})


def machine_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of the machine's processes without what would lead a Python to other packages than its own.

    A service of systemd has no HOME, which uv and many a library want.
    """
    passed_on = {name: value for name, value in environment.items() if name not in _OURS}
    return {"HOME": str(Path.home())} | passed_on


def with_path_before(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment with a folder before all others where commands are looked for."""
    path = os.pathsep.join([str(folder), environment.get("PATH", os.defpath)])
    return {**environment, "PATH": path}


class PythonEnvironment:
    """Makes one virtual environment; what the tools say stands in the training's log."""

    def __init__(
        self,
        target: Path,
        tools: Path,
        log: RunLog,
        cancelled: Callable[[], bool],
        uv_variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._uv_variables = uv_variables
        self._target = target
        self._tools = tools
        self._log = log
        self._cancelled = cancelled

    def prepare(self, packages: Packages | None, *, with_pip: bool = False) -> Path:
        """Answer the Python to run; `with_pip`: `pip` installs into the environment, which is then always one of its
        own. Raises SetupError, or SetupCancelledError when somebody asked for the end.
        """
        if packages is None and not with_pip:
            return Path(sys.executable)
        python = self._target / "bin" / "python"
        if packages is None:
            # The machine's own packages are seen, as they are without a set-up; Python brings pip along.
            self._run("making a virtual environment", sys.executable, "-m", "venv", "--system-site-packages", self._at)
            return python
        self._log.say(f"installing {packages.file.name}" + _how(packages))
        self._install(packages, python)
        if with_pip:
            self._uv("pip", "install", "--python", str(python), "pip")
        return python

    @property
    def _at(self) -> str:
        return str(self._target)

    def _install(self, packages: Packages, python: Path) -> None:
        folder = packages.file.parent
        match packages.kind:
            case PackagesKind.REQUIREMENTS:
                self._uv("venv", "--no-project", "--python", sys.executable, self._at)
                requirements = ("--requirement", str(packages.file))
                self._uv("pip", "install", "--python", str(python), *requirements, folder=folder)
            case PackagesKind.SCRIPT:
                self._uv("sync", "--active", "--script", str(packages.file), folder=folder)
            case PackagesKind.LOCKED_PROJECT:
                self._uv("sync", "--frozen", folder=folder)
            case PackagesKind.PROJECT:
                self._uv("sync", folder=folder)

    def _uv(self, *arguments: str, folder: Path | None = None) -> None:
        """Run uv. It takes the agent's Python where the project allows, or brings the one that the project wants."""
        environment = with_path_before(machine_environment(os.environ), Path(sys.executable).parent)
        environment |= {"VIRTUAL_ENV": self._at, "UV_PROJECT_ENVIRONMENT": self._at, **self._uv_variables}
        verb, *rest = arguments
        self._run_in(folder, environment, f"uv {verb}", [self._uv_program(), verb, "--quiet", *rest])

    def _uv_program(self) -> str:
        found = shutil.which("uv")
        if found is not None:
            return found
        installed = self._tools / "bin" / "uv"
        if not installed.exists():
            self._log.say("installing uv")
            self._run("making a virtual environment", sys.executable, "-m", "venv", str(self._tools))
            self._run("pip install uv", str(self._tools / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv")
        return str(installed)

    def _run(self, name: str, *command: str) -> None:
        self._run_in(None, machine_environment(os.environ), name, command)

    def _run_in(self, folder: Path | None, environment: Mapping[str, str], name: str, command: Sequence[str]) -> None:
        run_setup_command(
            command, name=name, log=self._log, cancelled=self._cancelled, environment=environment, folder=folder
        )


def _how(packages: Packages) -> str:
    match packages.kind:
        case PackagesKind.LOCKED_PROJECT:
            return " as locked in uv.lock"
        case PackagesKind.SCRIPT:
            return "'s own header of packages"
        case _:
            return ""
