"""A run that was cancelled is resumed as a new one, and what it leaves is fetched."""

from hashlib import sha256

import pytest

from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud


def test_cancelled_run_is_resumed_from_its_checkpoint_and_its_results_are_fetched(cloud: Cloud) -> None:
    cancelled = cloud.train("count.py", "30", "0.2")
    cloud.wait_for_event(cancelled, "checkpoint_saved")
    assert cloud.runctl("cancel", cancelled).exit_code == 0
    first = cloud.wait_for_end(cancelled)
    newest = cloud.runctl("checkpoint", "list", cancelled).data["checkpoints"][0]

    resumed = cloud.runctl("resume", cancelled, "--yes")
    run = cloud.wait_for_end(resumed.data["run_id"])
    fetched = cloud.runctl("download", run["run_id"], "--to", "fetched", "--outputs", "--latest", "--logs")
    again = cloud.runctl("download", run["run_id"], "--to", "fetched")

    assert first["status"] == "CANCELLED"
    assert run["status"] == "SUCCEEDED", cloud.story(run["run_id"])
    assert run["resumed_from"]["run_id"] == cancelled
    assert run["resumed_from"]["step"] == newest["step"] == run["attempts"][0]["resumed_from_step"]
    assert 1 <= newest["step"] < 30
    folder = cloud.root / "fetched"
    assert (folder / "checkpoints" / "step-30.txt").read_text() == "30"
    assert (folder / "output" / "report.txt").read_text() == "counted to 30"
    assert f"starting at {newest['step']}\n" in (folder / "logs" / "0001.log").read_text()
    assert {file["path"]: file["sha256"] for file in fetched.data["files"]} == {
        "checkpoints/step-30.txt": sha256(b"30").hexdigest(),
        "output/report.txt": sha256(b"counted to 30").hexdigest(),
    }
    assert [file["fetched"] for file in again.data["files"]] == [False, False]
    assert f"{cancelled} from step-{newest['step']}.txt" in cloud.runctl("status", run["run_id"], output="text").stdout
