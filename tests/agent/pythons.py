"""Finds other Pythons, and runs the agent's tests on them: `python -m tests.agent.pythons [NAME…]`, or
`make test-agent-pythons [PYTHONS="python3.11 /a/path/to/python3.14"]`.

Without names it is every one that the user data may choose (`bootstrap.PYTHONS`) and this machine has: in the path, or
among pyenv's. Each gets an environment of its own below `build/pythons`, from the locked requirements; it fails when a
test fails, when one that was named cannot be found, and when there is only the Python that runs it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from runctl.agent import bootstrap

ROOT = Path(__file__).resolve().parents[2]
NAMES = tuple(name for name in bootstrap.PYTHONS if name != "python3")


def find(name: str) -> str | None:
    """A Python by its name in the path, by its path, or of those that pyenv keeps, the newest."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    wanted = f"{name.removeprefix('python')}.*/bin/{name}"
    kept = [] if "/" in name else sorted(pyenv.glob(wanted), key=_patch)
    for found in (shutil.which(name), *map(str, reversed(kept))):
        if found and subprocess.run([found, "-c", "pass"], check=False, capture_output=True).returncode == 0:
            return found
    return None


def _patch(path: Path) -> int:
    digits = path.parents[1].name.rpartition(".")[2]
    return int(digits) if digits.isdigit() else -1


def run_tests(python: str) -> int:
    """Run the agent's tests on a Python; answers pytest's exit code."""
    version = subprocess.run(
        [python, "-c", "import platform; print(platform.python_version())"], check=True, capture_output=True, text=True
    ).stdout.strip()
    environment = ROOT / "build" / "pythons" / version
    own = environment / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    _say(f"-- Python {version} ({python})")
    subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", python, str(environment)], check=True)
    requirements = ["--require-hashes", str(ROOT / "requirements" / "dev.txt")]
    subprocess.run([*uv, "pip", "sync", "--quiet", "--python", str(own), *requirements], check=True)
    # Of the repository alone: the environment of the others has it installed, this one finds it in its folder.
    tests = [str(own), "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider", "tests/agent"]
    return subprocess.run(tests, cwd=ROOT, check=False).returncode


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(names: list[str]) -> int:
    """Run them one after the other; 1 when a test failed or there was nothing to compare with."""
    found = {name: find(name) for name in names or NAMES}
    missing = [name for name, python in found.items() if python is None]
    if missing:
        _say(f"not on this machine: {', '.join(missing)}")
    if names and missing:
        return 2
    pythons = [python for python in found.values() if python is not None]
    failed = [python for python in pythons if run_tests(python)]
    _say(f"failed on {', '.join(failed)}" if failed else f"passed on {', '.join(pythons)}")
    return 1 if failed or (len(pythons) < 2 and not names) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
