"""A spot machine is taken back, or dies, at each stage of a run."""

from typing import Any

import pytest

from tests.local.runs.cloud import Cloud
from tests.local.runs.project import COUNT, LOCAL_DIR, write_slow_project

pytestmark = pytest.mark.local_cloud


def _machine(cloud: Cloud, run_id: str, number: int = 1) -> str:
    """Wait for the attempt's machine."""

    def look() -> str | None:
        attempts = cloud.status(run_id)["attempts"]
        return attempts[number - 1]["instance_id"] if len(attempts) >= number else None

    return cloud.wait_until(look, f"machine {number} of {run_id}")


def _interrupt(cloud: Cloud, target: str, notice: str) -> None:
    command = cloud.runctl("local", "interrupt", target, "--notice", notice)
    assert command.exit_code == 0, command


def _kinds(cloud: Cloud, run_id: str, number: int) -> set[str]:
    """What happened to one attempt."""
    return {event["kind"] for event in cloud.events(run_id) if event["attempt"] == number}


def _resumed(run: dict[str, Any]) -> bool:
    return len(run["attempts"]) == 2 and run["attempts"][0]["reason"] == "SPOT_INTERRUPTION"


def test_interrupted_training_saves_and_resumes_on_another_machine(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "60", "0.1", options=("--spot",))
    cloud.wait_for_event(run_id, "checkpoint_saved")

    _interrupt(cloud, run_id, "4s")
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert _resumed(run), cloud.story(run_id)
    first = cloud.runctl("logs", run_id, "--attempt", "1", output="text").stdout
    second = cloud.runctl("logs", run_id, "--attempt", "2", output="text").stdout
    saved_at = int(first.split("saved at ")[1].split()[0])
    assert f"starting at {saved_at}\n" in second
    assert "finished at 60" in second
    assert run["attempts"][1]["resumed_from_step"] == saved_at
    assert run["attempts"][0]["instance_id"] != run["attempts"][1]["instance_id"]


def test_interruption_adds_at_most_15_transitions(cloud: Cloud) -> None:
    clean = cloud.wait_for_end(cloud.train("count.py", "5", "0.1", options=("--spot",)))
    run_id = cloud.train("count.py", "50", "0.1", options=("--spot",))
    cloud.wait_for_event(run_id, "training_started")
    _interrupt(cloud, run_id, "2s")
    interrupted = cloud.wait_for_end(run_id)

    assert len(interrupted["attempts"]) == 2, cloud.story(run_id)
    added = cloud.transitions(interrupted["execution_arn"]) - cloud.transitions(clean["execution_arn"])
    assert 0 < added <= 15


def test_interruption_while_launching_is_an_interruption(slow_cloud: Cloud) -> None:
    run_id = slow_cloud.train("succeed.py", options=("--spot",))

    slow_cloud.local.interrupt(slow_cloud.machine_in_state(run_id, "pending"), 0.2)
    run = slow_cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", slow_cloud.story(run_id)
    assert _resumed(run), slow_cloud.story(run_id)
    assert "ready" not in _kinds(slow_cloud, run_id, 1)


def test_interruption_while_waiting_for_ssm_is_an_interruption(cloud: Cloud) -> None:
    run_id = cloud.train("succeed.py", options=("--spot",))

    cloud.local.interrupt(cloud.machine_in_state(run_id, "running"), 0.0)
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert _resumed(run), cloud.story(run_id)
    assert "training_started" not in _kinds(cloud, run_id, 1)


def test_interruption_during_environment_setup_is_an_interruption(cloud: Cloud) -> None:
    write_slow_project(cloud.root / "slow")
    run_id = cloud.train("count.py", "10", "0.1", options=("--spot",), folder="slow")
    cloud.wait_for_event(run_id, "command_sent")

    _interrupt(cloud, run_id, "1s")
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert _resumed(run), cloud.story(run_id)
    assert "training_started" not in _kinds(cloud, run_id, 1)
    assert "training_started" in _kinds(cloud, run_id, 2)


def test_machine_that_falls_silent_is_ended_and_replaced(cloud: Cloud) -> None:
    (cloud.root / "hasty").mkdir(exist_ok=True)
    (cloud.root / "hasty" / "count.py").write_text(COUNT)
    (cloud.root / "hasty" / ".runctl.toml").write_text(
        f'target = "local"\n[run]\nheartbeat_interval = "1s"\nheartbeat_timeout = "5s"\n[local]\ndir = "{LOCAL_DIR}"\n'
    )
    run_id = cloud.train("count.py", "60", "0.1", folder="hasty")
    cloud.wait_for_event(run_id, "checkpoint_saved")
    machine = _machine(cloud, run_id)

    cloud.local.kill(machine, silent=True)
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert [attempt["reason"] for attempt in run["attempts"]] == ["MACHINE_LOST", "COMPLETED"]
    assert run["attempts"][1]["resumed_from_step"] >= 1
    assert machine not in cloud.live_machines()


def test_machine_killed_from_outside_is_replaced_and_the_run_resumes(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "40", "0.1")
    cloud.wait_for_event(run_id, "checkpoint_saved")
    machine = _machine(cloud, run_id)

    assert cloud.runctl("local", "kill", machine).exit_code == 0
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert [attempt["reason"] for attempt in run["attempts"]] == ["MACHINE_LOST", "COMPLETED"]
    assert run["attempts"][1]["resumed_from_step"] >= 1


def test_machine_terminated_in_the_console_is_replaced(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "30", "0.1")
    machine = _machine(cloud, run_id)
    cloud.wait_for_event(run_id, "training_started")

    cloud.client("ec2").terminate_instances(InstanceIds=[machine])
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert run["attempts"][0]["reason"] == "MACHINE_LOST"


def test_training_that_finishes_within_the_notice_has_succeeded(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "35", "0.1", "usr1", options=("--spot",))
    cloud.wait_for_event(run_id, "training_started")

    # Without another machine, which would be ready before this training is done, it may use the whole notice.
    cloud.local.no_capacity(["*"], 8.0)
    _interrupt(cloud, run_id, "25s")
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    first, *released = run["attempts"]
    assert (first["reason"], first["exit_code"]) == ("COMPLETED", 0)
    assert [(attempt["reason"], attempt["exit_code"]) for attempt in released] in ([], [("COMPLETED", None)])
    assert "asked to save" in cloud.runctl("logs", run_id, output="text").stdout


def test_training_near_its_end_and_its_replacement_finish_the_work(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "30", "0.1", "usr1", options=("--spot",))
    cloud.wait_for_event(run_id, "training_started")

    _interrupt(cloud, run_id, "20s")
    run = cloud.wait_for_end(run_id)

    # Whichever is first: it finishes in its notice, or it is told that the other one waits, saves and leaves.
    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    first, *others = run["attempts"]
    told = [
        cloud.runctl("logs", run_id, "--attempt", str(number), output="text")
        for number in range(1, len(run["attempts"]) + 1)
    ]
    logs = [command.stdout for command in told]
    # Twice only where EC2 ended the first machine before it could report that it was done.
    assert "finished at 30" in logs[-1 if others and others[-1]["exit_code"] == 0 else 0], (told, cloud.story(run_id))
    if first["exit_code"] == 0:
        assert [attempt["exit_code"] for attempt in others] in ([], [None])
    else:
        (second,) = others
        assert f"step {second['resumed_from_step']}\n" in logs[0]
        assert f"starting at {second['resumed_from_step']}\n" in logs[1]
