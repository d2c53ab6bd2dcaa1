"""The agent on every Python that it names, as far as this machine has them: with its own packages and nothing else."""

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
from tests.agent.pythons import NAMES, find


def _python(name: str) -> str:
    found = find(name)
    if found is None:
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


def test_user_data_is_understood_by_the_python_of_amazon_linux_2023() -> None:
    python = _python("python3.9")
    code = (
        "import runpy, sys; found = runpy.run_path(sys.argv[1]); import time\n"
        "url = found['object_url']('eu-central-1')\n"
        "request = found['signed_get'](url, 'eu-central-1', ('AK', 'SK', 'T'), time.gmtime(0))\n"
        "print(request.get_header('Authorization'), found['find_python'](modules='json'))"
    )

    ran = subprocess.run(
        [python, "-W", "error", "-I", "-S", "-B", "-c", code, bootstrap.__file__],
        env={"PATH": str(Path(sys.executable).parent)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("AWS4-HMAC-SHA256 Credential=AK/19700101/eu-central-1/s3/aws4_request, SignedHeaders=")
    assert "python3" in ran.stdout.split()[-1]  # a newer one than that which asks
