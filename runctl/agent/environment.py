"""Makes the Python that the training runs on: the project's requirements through uv, or the machine's own Python."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from runctl.agent.run_log import RunLog
from runctl.agent.setup_error import SetupCancelledError, SetupError

REQUIREMENTS = "requirements.txt"
LOOK_S = 0.1

_OURS = frozenset({"PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV", "PYTHONSTARTUP"})


def find_requirements(project: Path, script: str) -> Path | None:
    """Find the nearest requirements.txt, from the script's folder up to the project's root."""
    folder = (project / script).parent
    while True:
        if (folder / REQUIREMENTS).is_file():
            return folder / REQUIREMENTS
        if folder == project or project not in folder.parents:
            return None
        folder = folder.parent


def machine_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of the machine's processes without what would lead a Python to other packages than its own.

    A service of systemd has no HOME, which uv and many a library want.
    """
    passed_on = {name: value for name, value in environment.items() if name not in _OURS}
    return {"HOME": str(Path.home())} | passed_on


class PythonEnvironment:
    """Makes one virtual environment; what the tools say stands in the training's log."""

    def __init__(self, target: Path, tools: Path, log: RunLog, cancelled: Callable[[], bool]) -> None:
        self._target = target
        self._tools = tools
        self._log = log
        self._cancelled = cancelled

    def prepare(self, requirements: Path | None) -> Path:
        """Answer the Python to run. Raises SetupError, or SetupCancelledError when somebody asked for the end."""
        if requirements is None:
            return Path(sys.executable)
        uv = self._uv()
        python = self._target / "bin" / "python"
        self._log.say(f"installing {requirements.name}")
        self._run([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(self._target)])
        self._run(
            [uv, "pip", "install", "--quiet", "--python", str(python), "--requirement", str(requirements)],
            working_directory=requirements.parent,
        )
        return python

    def _uv(self) -> str:
        found = shutil.which("uv")
        if found is not None:
            return found
        installed = self._tools / "bin" / "uv"
        if not installed.exists():
            self._log.say("installing uv")
            self._run([sys.executable, "-m", "venv", str(self._tools)])
            self._run([str(self._tools / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv"])
        return str(installed)

    def _run(self, command: Sequence[str], working_directory: Path | None = None) -> None:
        with self._log.open() as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=working_directory,
                env=machine_environment(os.environ),
                start_new_session=True,
            )
        while True:
            try:
                code = process.wait(LOOK_S)
                break
            except subprocess.TimeoutExpired:
                if self._cancelled():
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    raise SetupCancelledError from None
        if code != 0:
            raise SetupError(f"{' '.join(map(str, command[:3]))} ended with exit code {code}")
