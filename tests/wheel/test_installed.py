"""The wheel alone in a clean environment: no clone, no Node, no index, and a user's modules with our folders' names."""

import json
from pathlib import Path

import pytest

from tests.wheel.clean_environment import FOREIGN, CleanEnvironment

LARGEST_THIN_MB = 60
TRAIN = ("--output", "json", "train", "train.py", "--wait", "--", "--lr", "1")

SCRIPT = """\
import os, pathlib, sys
print("trained with", sys.argv[1:], flush=True)
part = pathlib.Path(os.environ["RUNCTL_CHECKPOINT_DIR"]) / "step-1.txt.tmp"
part.write_text("weights")
part.rename(part.with_suffix(""))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's folder, with modules that must not be taken for ours."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in FOREIGN:
        (folder / f"{name}.py").write_text("raise ImportError('a script of the user was imported')\n")
    (folder / "train.py").write_text(SCRIPT)
    return folder


def test_the_command_line_alone_is_small_and_says_how_to_get_the_rest(
    wheel: Path, tmp_path: Path, project: Path
) -> None:
    clean = CleanEnvironment(tmp_path / "thin")
    clean.install(wheel)

    installed = clean.installed_bytes()
    version = clean.run(project, clean.program, "--version")
    initialised = clean.run(project, clean.program, "init")
    refused = clean.run(project, clean.program, "--output", "json", "local", "up")

    assert installed <= LARGEST_THIN_MB * 1e6
    assert version.returncode == 0, version.stderr
    assert initialised.returncode == 0, initialised.stderr
    (fault,) = json.loads(refused.stdout)["errors"]
    assert "pip install 'runctl[local]'" in fault["hint"]


@pytest.mark.local_cloud
def test_a_run_trains_and_the_stack_is_deployed_with_nothing_but_the_wheel(
    wheel: Path, tmp_path: Path, project: Path
) -> None:
    clean = CleanEnvironment(tmp_path / "whole")
    clean.install(wheel, extra="local")
    initialised = clean.run(project, clean.program, "init")
    try:
        up = clean.run(project, clean.program, "local", "up")
        trained = clean.run(
            project, clean.program, "--output", "json", "train", "train.py", "--wait", "--", "--lr", "1"
        )
        logged = clean.run(project, clean.program, "logs", "last")
        deployed = clean.run(project, clean.program, "--output", "json", "--target", "local", "deploy", "--yes")
    finally:
        down = clean.run(project, clean.program, "local", "down")

    assert initialised.returncode == 0, initialised.stderr
    assert up.returncode == 0, up.stderr
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["data"]["status"] == "SUCCEEDED"
    assert "trained with ['--lr', '1']" in logged.stdout
    assert deployed.returncode == 0, deployed.stderr
    assert json.loads(deployed.stdout)["ok"]
    assert down.returncode == 0, down.stderr
