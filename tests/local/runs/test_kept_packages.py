"""Packages that one attempt installed serve the next one, on another machine, without an index."""

import pytest

from tests.local.runs.cloud import Cloud
from tests.local.runs.package_index import package_index
from tests.local.runs.project import LOCAL_DIR

pytestmark = pytest.mark.local_cloud

SCRIPT = """\
# The first attempt waits until it is asked to leave; a later one has nothing left to do.
import os, signal, sys, time
import brisk_kites
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
print("the wind is", brisk_kites.WIND, flush=True)
if os.environ["RUNCTL_ATTEMPT"] == "1":
    time.sleep(600)
"""


def test_second_attempt_asks_the_package_index_nothing(cold_cloud: Cloud) -> None:
    with package_index() as index:
        folder = cold_cloud.root / "kites"
        folder.mkdir()
        (folder / ".runctl.toml").write_text(f'target = "local"\n[local]\ndir = "{LOCAL_DIR}"\n')
        (folder / "requirements.txt").write_text(f"--index-url {index.url}\nbrisk-kites\n")
        (folder / "fly.py").write_text(SCRIPT)
        run_id = cold_cloud.train("fly.py", options=("--spot",), folder="kites")
        cold_cloud.wait_for_event(run_id, "training_started")

        def is_kept() -> bool:
            said = cold_cloud.runctl("logs", run_id, "--attempt", "1", output="text").stdout
            return "the packages are kept for a later attempt" in said

        cold_cloud.wait_until(is_kept, "packages in the bucket", 120.0, pause_s=1.0)
        asked = list(index.asked)
        command = cold_cloud.runctl("local", "interrupt", run_id, "--notice", "10s")
        run = cold_cloud.wait_for_end(run_id)

    assert command.exit_code == 0, command
    assert run["status"] == "SUCCEEDED", cold_cloud.story(run_id)
    assert len(run["attempts"]) == 2, cold_cloud.story(run_id)
    log = cold_cloud.runctl("logs", run_id, "--attempt", "2", output="text").stdout
    assert "runctl: the packages came from an earlier attempt; no index was asked" in log
    assert "the wind is 7" in log
    assert len(asked) >= 2
    assert index.asked == asked
    first, second = (
        event["data"]["prepared_s"] for event in cold_cloud.events(run_id) if event["kind"] == "training_started"
    )
    assert first > 5
    assert second < first / 2
