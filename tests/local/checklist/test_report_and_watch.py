"""Watching a training that really trains, and the page about it, on the local target."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud

TRAINING = Path(__file__).parents[3] / "training"
OTHER_SCREEN, BACK = "\x1b[?1049h", "\x1b[?1049l"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def run_ids(cloud: Cloud) -> Iterator[tuple[str, str]]:
    """Two trainings, one after the other, of which the second is watched on a terminal of 100 columns to its end."""
    shutil.copy(TRAINING / "train_mnist_e2e.py", cloud.root)
    first = cloud.train("train_mnist_e2e.py", "--epochs", "2")
    assert cloud.wait_for_end(first)["status"] == "SUCCEEDED"
    yield first, cloud.train("train_mnist_e2e.py", "--epochs", "15")


def test_watch_shows_a_live_screen_until_the_training_ends(cloud: Cloud, run_ids: tuple[str, str]) -> None:
    _, second = run_ids
    shown = pexpect.spawn(
        sys.executable,
        ["-m", "runctl_cli", "watch", second],
        cwd=str(cloud.root),
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"},
        dimensions=(40, 100),
        encoding="utf-8",
        timeout=60,
    )

    shown.expect_exact(OTHER_SCREEN)
    shown.expect(r"RUNNING")
    shown.expect(r"loss")
    screen = shown.before or ""
    shown.expect_exact(BACK)
    shown.expect(pexpect.EOF)
    after = shown.before or ""
    shown.close()

    assert shown.exitstatus == 0, screen + after
    assert re.search(rf"{second}\s+\S+\s+SUCCEEDED", after)


def test_report_is_one_page_that_needs_nothing_else(cloud: Cloud, run_ids: tuple[str, str]) -> None:
    first, second = run_ids
    cloud.wait_for_end(second)

    one = cloud.runctl("report", second)
    both = cloud.runctl("report", first, second, "--to", "comparison.html")

    page = Path(one.data["path"]).read_text(encoding="utf-8")
    comparison = Path(both.data["path"]).read_text(encoding="utf-8")
    assert (one.exit_code, both.exit_code) == (0, 0)
    for needed in (second, "loss", "accuracy", "SUCCEEDED", "t3.", "weights sha256", "<svg"):
        assert needed in page
    assert first in comparison
    assert second in comparison
    assert "--epochs 15" in comparison
    for text in (page, comparison):
        assert not re.search(r"<script|<link|@import|url\(|(?:src|href)=\"(?!https://console|#)", text)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here")
@pytest.mark.parametrize("width", [400, 1200])
def test_browser_shows_the_report_offline(cloud: Cloud, run_ids: tuple[str, str], tmp_path: Path, width: int) -> None:
    first, second = run_ids
    cloud.wait_for_end(second)
    page = Path(cloud.runctl("report", first, second, "--to", "offline.html").data["path"])
    picture = Path(os.environ.get("RUNCTL_PICTURES", tmp_path)) / f"report-{width}.png"
    asked = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--window-size={width},2400",
    ]

    drawn = subprocess.run(
        [*asked, f"--screenshot={picture}", page.as_uri()], capture_output=True, timeout=60, check=False
    )
    dom = subprocess.run([*asked, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=60, check=False)

    assert drawn.returncode == 0, drawn.stderr
    assert picture.stat().st_size > 20_000, "an empty page is a few kilobytes"
    assert dom.stdout.count("<svg") >= 3
    assert "net::ERR" not in dom.stdout
