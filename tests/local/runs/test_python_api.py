"""The example of the documentation, as a notebook would run it."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"
TRAIN = """\
import os, pathlib
print("epoch 1", flush=True)
(pathlib.Path(os.environ["RUNCTL_CHECKPOINT_DIR"]) / "step-1.txt").write_text("weights")
"""


def _example() -> str:
    text = PAGE.read_text().partition("\n## Python\n")[2]
    lines = [line for line in text.partition("\n`run.cancel()`")[0].splitlines() if line.startswith("    ") or not line]
    return textwrap.dedent("\n".join(lines))


def test_example_of_the_documentation_runs_as_it_stands(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / ".runctl.toml").write_text('target = "aws"\n')

    done = subprocess.run(
        [sys.executable, "-c", _example()],
        cwd=tmp_path,
        env={**os.environ, **cloud.environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "epoch 1" in done.stdout
    assert "SUCCEEDED COMPLETED" in done.stdout
    assert [path.read_text() for path in (tmp_path / "weights").rglob("step-1.txt")] == ["weights"]
