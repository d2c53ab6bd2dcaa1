"""Machines that somebody keeps, with the commands of the feedback that runctl grew from."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.runs.cloud import Cloud, Command

pytestmark = pytest.mark.local_cloud

TRAINING = Path(__file__).parents[3] / "training"


@pytest.fixture(scope="module")
def folder(cloud: Cloud) -> str:
    """A project with the script that the commands name."""
    (cloud.root / "mnist" / "training").mkdir(parents=True)
    shutil.copy(TRAINING / "train_mnist_e2e.py", cloud.root / "mnist" / "training")
    (cloud.root / "mnist" / ".runctl.toml").write_text('target = "local"\n[local]\ndir = "../.runctl/local"\n')
    return "mnist"


@pytest.fixture(scope="module")
def created(cloud: Cloud, folder: str) -> Command:
    """`runctl aws create t3.micro --wait`"""
    return cloud.runctl("aws", "create", "t3.micro", "--wait", output="text", folder=folder)


@pytest.fixture(scope="module")
def machine(cloud: Cloud, created: Command) -> Iterator[str]:
    """The machine; ended at last."""
    assert created.exit_code == 0, created
    yield created.stdout.strip()
    cloud.runctl("aws", "terminate", created.stdout.strip(), "--yes")


def test_create_says_what_it_made_and_that_it_is_ready(created: Command, machine: str) -> None:
    assert f"Created on-demand instance: {machine}" in created.stderr
    assert created.stderr.index("Created") < created.stderr.index("Instance ready and SSM connected")


def test_machine_trains_twice_and_both_logs_stay(cloud: Cloud, folder: str, machine: str) -> None:
    script = "training/train_mnist_e2e.py"

    waited = cloud.runctl("aws", "wait", machine, folder=folder)
    online = cloud.runctl("aws", "wait-ssm", machine, output="text", folder=folder)
    first = cloud.runctl("aws", "train", machine, script, "--sync-code", "--script-args", "--epochs 3", folder=folder)
    ended = cloud.wait_for_end(first.data["run_id"])
    second = cloud.runctl(
        "aws", "train", machine, script, "--sync-code", "--wait", "--", "--epochs", "1", folder=folder
    )
    monitored = cloud.runctl("aws", "monitor", machine, output="text", folder=folder)
    listed = cloud.runctl("aws", "monitor", machine, "--list", folder=folder)
    status = cloud.runctl("aws", "status", machine, folder=folder)

    assert (waited.exit_code, online.stdout) == (0, "Instance ready and SSM connected\n")
    assert ended["status"] == "SUCCEEDED", cloud.story(ended["run_id"])
    assert (second.exit_code, second.data["status"]) == (0, "SUCCEEDED"), second
    assert {run["attempts"][0]["instance_id"] for run in (ended, second.data)} == {machine}
    assert monitored.exit_code == 0
    assert monitored.stdout != ""
    runs = [second.data["run_id"], ended["run_id"]]
    assert [run["run_id"] for run in listed.data["runs"]][:2] == runs
    assert all(cloud.runctl("logs", run_id, output="text", folder=folder).stdout for run_id in runs)
    assert (status.data["state"], status.data["ssm_online"], status.data["busy_with"]) == ("running", True, None)


def test_failed_training_leaves_the_machine_there(cloud: Cloud, machine: str) -> None:
    failed = cloud.runctl("aws", "train", machine, "fail.py", "--wait")

    assert (failed.exit_code, failed.data["reason"]) == (1, "USER_ERROR"), failed
    assert machine in cloud.live_machines()


def test_machine_is_stopped_and_started_and_trains_again(cloud: Cloud, machine: str) -> None:
    cloud.runctl("aws", "stop", machine)
    cloud.machine_in_state(None, "stopped")
    stopped = cloud.runctl("aws", "train", machine, "succeed.py")
    disk = cloud.runctl("aws", "status", machine).data
    started = cloud.runctl("aws", "start", machine, "--wait")
    trained = cloud.runctl("aws", "train", machine, "succeed.py", "--wait")
    again = cloud.runctl("aws", "status", machine).data

    assert stopped.exit_code == 4
    assert f"runctl aws start {machine}" in stopped.document["errors"][0]["hint"]
    assert started.exit_code == 0, started
    assert (trained.exit_code, trained.data["status"]) == (0, "SUCCEEDED"), trained
    assert 0 < disk["usd_per_hour"] < again["usd_per_hour"] / 1.5
    assert again["launched_at"] > disk["launched_at"]
    assert 0 < disk["cost_usd"] < again["cost_usd"]


def test_spot_machine_is_created_and_ends_when_it_is_told_to(cloud: Cloud, folder: str) -> None:
    created = cloud.runctl("aws", "create", "t3.micro", "--spot", "--wait", output="text", folder=folder)
    machine = created.stdout.strip()

    refused = cloud.runctl("aws", "stop", machine)
    ended = cloud.runctl("aws", "terminate", machine, "--yes")

    assert f"Created spot instance: {machine}" in created.stderr, created
    assert "spot machine" in refused.document["errors"][0]["message"]
    assert ended.exit_code == 0
    cloud.wait_until(lambda: machine not in cloud.live_machines(), "the machine's end")


def test_create_with_the_stacks_own_profile(cloud: Cloud, folder: str) -> None:
    words = ("aws", "create", "t3.micro", "--iam-instance-profile", "runctl-ssm-profile", "--wait")

    created = cloud.runctl(*words, output="text", folder=folder)

    assert "Instance ready and SSM connected" in created.stderr, created
    cloud.runctl("aws", "terminate", created.stdout.strip(), "--yes")


def test_cancelled_training_on_a_machine_saves_and_leaves_it(cloud: Cloud, machine: str) -> None:
    run = cloud.runctl("aws", "train", machine, "count.py", "--", "600", "0.1")
    cloud.wait_for_event(run.data["run_id"], "checkpoint_saved")

    busy = cloud.runctl("aws", "train", machine, "succeed.py")
    cloud.runctl("cancel", run.data["run_id"])
    ended = cloud.wait_for_end(run.data["run_id"])

    assert busy.exit_code == 2
    assert f"busy with run {run.data['run_id']}" in busy.document["errors"][0]["message"]
    assert ended["status"] == "CANCELLED"
    assert ended["checkpoint"] is not None
    assert machine in cloud.live_machines()


def test_stop_lets_the_training_save_and_end_before_the_machine_stops(cloud: Cloud, machine: str) -> None:
    run = cloud.runctl("aws", "train", machine, "count.py", "--", "600", "0.1")
    cloud.wait_for_event(run.data["run_id"], "checkpoint_saved")

    stopped = cloud.runctl("aws", "stop", machine)
    ended = cloud.status(run.data["run_id"])
    cloud.machine_in_state(None, "stopped")
    resumed = cloud.runctl("resume", run.data["run_id"], "--yes", "--", "1", "0")

    assert stopped.exit_code == 0, stopped
    assert (ended["status"], ended["reason"]) == ("CANCELLED", "CANCELLED"), cloud.story(run.data["run_id"])
    assert ended["attempts"][-1]["exit_code"] == 75
    assert ended["checkpoint"] is not None
    assert resumed.data["resumed_from"]["run_id"] == run.data["run_id"]
    assert cloud.wait_for_end(resumed.data["run_id"])["status"] == "SUCCEEDED"


def test_terminate_lets_the_training_save_and_end_before_the_machine_ends(cloud: Cloud) -> None:
    machine = cloud.runctl("aws", "create", "t3.micro", "--wait").data["instance_id"]
    run = cloud.runctl("aws", "train", machine, "count.py", "--", "600", "0.1")
    cloud.wait_for_event(run.data["run_id"], "checkpoint_saved")

    asked = cloud.runctl("aws", "terminate", machine)
    terminated = cloud.runctl("aws", "terminate", machine, "--yes")
    ended = cloud.status(run.data["run_id"])

    assert asked.exit_code == 2
    assert run.data["run_id"] in asked.document["errors"][0]["message"]
    assert terminated.exit_code == 0, terminated
    assert (ended["status"], ended["attempts"][-1]["exit_code"]) == ("CANCELLED", 75), cloud.story(run.data["run_id"])
    cloud.wait_until(lambda: machine not in cloud.live_machines(), "the machine's end")
