"""A project in a folder of its own, and the command line in it."""

from pathlib import Path

import pytest

from tests.cli.command_line import CommandLine


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one training script, which is the working folder."""
    folder = tmp_path / "vision"
    folder.mkdir()
    (folder / ".runctl.toml").write_text('target = "local"\n')
    (folder / "train.py").write_text("print('hello')\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("RUNCTL_TARGET", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def runctl(project: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line in the project."""
    return CommandLine(project, capsys)
