"""The wheel, built once for all tests here."""

import subprocess
import sys
from pathlib import Path

import pytest

from stacks import build_assembly
from stacks.assembly.layout import REPOSITORY


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make wheel` builds it: with what is installed here, and no index."""
    build_assembly.main()
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built
