"""The demo, given for real."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.demo.run_demo import REPOSITORY

pytestmark = pytest.mark.local_cloud


def test_demo_shows_what_it_claims_and_leaves_the_local_target_down(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.demo.run_demo", "--folder", str(tmp_path)]

    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert set(result) == {"interrupted", "uninterrupted", "weights_identical", "transitions", "seconds"}
    assert [attempt["reason"] for attempt in result["interrupted"]["attempts"]] == ["SPOT_INTERRUPTION", "COMPLETED"]
    assert len(result["uninterrupted"]["attempts"]) == 1
    assert result["weights_identical"] is True
    assert 0 < result["transitions"]["clean"] < result["transitions"]["interrupted"]
    assert "resumed at step" in done.stdout
    status = [sys.executable, "-m", "runctl_cli", "--output", "json", "local", "status"]
    answer = subprocess.run(status, cwd=tmp_path / "project", capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(answer.stdout)["data"]["is_up"] is False
