"""A command line that dies while a training goes on, on the local target."""

import signal
import subprocess
import sys

import pytest

from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud


def test_run_whose_command_line_was_killed_goes_on_and_says_how_to_come_back_and_to_undo(cloud: Cloud) -> None:
    words = ["train", "slow.py", "--instance-type", "t3.micro", "--name", "orphan", "--wait"]
    (cloud.root / "slow.py").write_text("import time\nfor step in range(80):\n    time.sleep(0.1)\n")
    with subprocess.Popen(
        [sys.executable, "-m", "runctl_cli", *words], cwd=cloud.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"training_started" in line:
                break
        process.send_signal(signal.SIGKILL)

    status = cloud.runctl("status", "orphan", output="text")
    listed = cloud.runctl("ps", output="text")

    run_id = status.stdout.split()[0]
    assert "orphan  RUNNING" in status.stdout
    assert "Cost        $" in status.stdout
    assert f"runctl logs {run_id} -f" in status.stderr
    assert f"runctl cancel {run_id}" in status.stderr
    assert run_id in listed.stdout
    assert cloud.wait_for_end(run_id)["status"] == "SUCCEEDED"
    machines = {each["instance_id"] for each in cloud.status(run_id)["attempts"]}
    cloud.wait_until(lambda: not machines & set(cloud.live_machines()), "the machine's end")
