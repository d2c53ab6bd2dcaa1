"""The agent on every Python that it names, as far as this machine has them: with its own packages and nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path

import botocore
import dateutil
import jmespath
import pytest
import six
import urllib3

import runctl.agent
from runctl.agent import bootstrap, keeper
from tests.agent.processes import until

NAMES = [name for name in bootstrap.PYTHONS if name != "python3"]


def _python(name: str) -> str:
    found = shutil.which(name)
    ran = found and subprocess.run([found, "-c", "pass"], check=False, capture_output=True).returncode == 0
    if not found or not ran:
        pytest.skip(f"there is no {name} here")
    return found


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """The archive's layout, by links."""
    made = tmp_path / "lib"
    (made / "runctl").mkdir(parents=True)
    (made / "runctl" / "__init__.py").touch()
    (made / "runctl" / "agent").symlink_to(Path(runctl.agent.__file__).parent)
    for package in (botocore, dateutil, jmespath, urllib3):
        (made / package.__name__).symlink_to(Path(package.__file__).parent)
    (made / "six.py").symlink_to(six.__file__)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_every_module_of_the_agent_is_imported_without_a_warning(name: str, library: Path) -> None:
    python = _python(name)
    modules = [path.stem for path in Path(runctl.agent.__file__).parent.glob("*.py") if path.stem != "__init__"]
    code = (
        f"import sys, warnings; sys.path.insert(0, {str(library)!r}); import runctl.agent.wiring\n"
        f"warnings.simplefilter('error')\nfor name in {modules!r}: __import__('runctl.agent.' + name)"
    )

    ran = subprocess.run([python, "-I", "-S", "-B", "-c", code], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_training_is_kept(name: str, tmp_path: Path) -> None:
    command = [_python(name), "-W", "error", "-I", "-S", "-B", keeper.__file__, str(tmp_path)]

    subprocess.run([*command, sys.executable, "-c", "raise SystemExit(3)"], check=True)

    until(lambda: (tmp_path / keeper.ENDED).exists())
    assert (tmp_path / keeper.EXIT_CODE).read_text() == "3\n"
