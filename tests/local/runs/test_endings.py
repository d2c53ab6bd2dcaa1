"""Each way in which a run ends, through the deployed stack, with real processes as machines."""

import json

import pytest

from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud


def test_run_succeeds_and_leaves_no_machine(cloud: Cloud) -> None:
    run_id = cloud.train("succeed.py")

    run = cloud.wait_for_end(run_id)

    assert (run["status"], run["reason"]) == ("SUCCEEDED", "COMPLETED"), cloud.story(run_id)
    assert [attempt["exit_code"] for attempt in run["attempts"]] == [0]
    assert run["checkpoint"]["step"] == 1
    instance_id = run["attempts"][0]["instance_id"]
    cloud.wait_until(lambda: instance_id not in cloud.live_machines(), "the machine's end")
    assert "done" in cloud.runctl("logs", run_id, output="text").stdout


def test_figures_of_a_run_are_kept_as_series(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "30", "0.1")
    cloud.wait_until(lambda: cloud.metrics(run_id), "the first figures")

    run = cloud.wait_for_end(run_id)

    (history,) = cloud.metrics(run_id)
    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert history.machine["memory_percent"].count >= 2
    assert 0 < history.machine["memory_percent"].last <= 100


def test_execution_shows_the_path_that_the_console_would(cloud: Cloud) -> None:
    run = cloud.wait_for_end(cloud.train("succeed.py"))

    history = cloud.history(run["execution_arn"])
    states = [e["stateEnteredEventDetails"]["name"] for e in history if "stateEnteredEventDetails" in e]

    assert states == [
        "Admit run",
        "Machine given?",
        "Launch machine",
        "Wait for SSM",
        "Train",
        "Conclude run",
        "How did it end?",
        "Run succeeded",
    ]
    assert cloud.transitions(run["execution_arn"]) <= 25


def test_exit_code_3_is_the_users_failure_with_the_last_log_lines(cloud: Cloud) -> None:
    run_id = cloud.train("fail.py")

    run = cloud.wait_for_end(run_id)

    assert (run["status"], run["reason"]) == ("FAILED", "USER_ERROR"), cloud.story(run_id)
    assert run["attempts"][0]["exit_code"] == 3
    assert "could not read the labels" in cloud.runctl("status", run_id, output="text").stdout
    execution = cloud.ended_execution(run["execution_arn"])
    assert (execution["status"], execution["error"]) == ("FAILED", "USER_ERROR")
    assert "exit code 3" in execution["cause"]


def test_training_that_owes_a_checkpoint_and_leaves_none_has_failed(cloud: Cloud) -> None:
    run_id = cloud.train(options=("--command", "echo trained", "--verify-checkpoints"))

    run = cloud.wait_for_end(run_id)

    assert (run["status"], run["reason"]) == ("FAILED", "CHECKPOINT_MISSING"), cloud.story(run_id)
    assert run["attempts"][0]["exit_code"] == 0


def test_training_that_leaves_no_checkpoint_succeeds_with_a_warning(cloud: Cloud) -> None:
    run_id = cloud.train(options=("--command", "echo trained"))

    run = cloud.wait_for_end(run_id)

    assert (run["status"], run["reason"]) == ("SUCCEEDED", "COMPLETED"), cloud.story(run_id)
    assert "left no checkpoint" in cloud.runctl("events", run_id, output="text").stdout


def test_waiting_command_returns_the_trainings_result(cloud: Cloud) -> None:
    failed = cloud.runctl("train", "fail.py", "--instance-type", "t3.micro", "--wait")
    succeeded = cloud.runctl("train", "succeed.py", "--instance-type", "t3.micro", "--wait")

    assert failed.exit_code == 1
    assert failed.document["ok"] is False
    assert succeeded.exit_code == 0
    assert succeeded.data["status"] == "SUCCEEDED"


def test_cancel_saves_first_and_ends_as_cancelled(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "500", "0.1")
    cloud.wait_for_event(run_id, "checkpoint_saved")

    cancelled = cloud.runctl("cancel", run_id)
    run = cloud.wait_for_end(run_id)

    assert cancelled.exit_code == 0
    assert (run["status"], run["reason"]) == ("CANCELLED", "CANCELLED"), cloud.story(run_id)
    log = cloud.runctl("logs", run_id, output="text").stdout
    saved_at = int(log.split("saved at ")[1].split()[0])
    assert run["checkpoint"]["step"] == saved_at


def test_cancel_of_a_deaf_training_with_now_ends_its_machine(cloud: Cloud) -> None:
    run_id = cloud.train("deaf.py")
    cloud.wait_for_event(run_id, "training_started")

    cloud.runctl("cancel", run_id, "--now")
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "CANCELLED", cloud.story(run_id)
    cloud.wait_until(lambda: run["attempts"][0]["instance_id"] not in cloud.live_machines(), "the machine's end")


def test_cancel_before_the_machine_is_ready_ends_at_once(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "500", "0.1")

    cloud.runctl("cancel", run_id)
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "CANCELLED", cloud.story(run_id)


def test_stopping_the_execution_in_the_console_saves_and_cancels(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "500", "0.1")
    cloud.wait_for_event(run_id, "checkpoint_saved")

    cloud.client("stepfunctions").stop_execution(executionArn=cloud.status(run_id)["execution_arn"])
    run = cloud.wait_for_end(run_id)

    assert (run["status"], run["reason"]) == ("CANCELLED", "CANCELLED"), cloud.story(run_id)
    assert "saved at" in cloud.runctl("logs", run_id, output="text").stdout
    cloud.wait_until(lambda: run["attempts"][0]["instance_id"] not in cloud.live_machines(), "the machine's end")


def test_no_capacity_until_the_deadline_fails_and_names_the_pools(cloud: Cloud) -> None:
    cloud.runctl("local", "no-capacity", "m5.large", "--for", "60s")
    started = cloud.runctl("train", "succeed.py", "--instance-type", "m5.large", "--capacity-timeout", "5s", "--yes")

    run = cloud.wait_for_end(started.data["run_id"])

    assert (run["status"], run["reason"]) == ("FAILED", "CAPACITY"), cloud.story(run["run_id"])
    assert "m5.large" in json.dumps(cloud.events(run["run_id"]))


def test_machine_is_found_when_capacity_comes_back(cloud: Cloud) -> None:
    cloud.runctl("local", "no-capacity", "c5.xlarge", "--for", "4s")
    started = cloud.runctl("train", "succeed.py", "--instance-type", "c5.xlarge", "--yes")

    run = cloud.wait_for_end(started.data["run_id"])

    assert run["status"] == "SUCCEEDED", cloud.story(run["run_id"])
    assert len(run["attempts"]) == 1
