"""Whole attempts: real trainings of a fraction of a second, and fakes for AWS."""

import hashlib
import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from runctl.agent.out_of_memory import Kill, Memory
from runctl.agent.request_files import Request
from runctl.agent.supervisor import NO_CHECKPOINT, POWER_OFF_GRACE_S, PYTHON_INSTALLED
from runctl.model.agent_event import AgentEvent, TrainingStarted, is_authentic
from runctl.model.history import MetricsHistory
from runctl.model.job import LinkedFile, ResumePoint
from runctl.model.output import OutputListing
from tests.agent.attempt import Attempt
from tests.agent.factories import PREFIX, SECRET
from tests.agent.processes import is_running
from tests.agent.scripts import CHECKPOINT, DEAF, HEARS_SIGUSR1, SAVES_AND_LEAVES, WRITES_OUTPUT_FIRST

NOTHING: Mapping[str, str] = MappingProxyType({})


def test_success_leaves_checkpoint_output_log_markers_and_one_report(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, CHECKPOINT)

    ended = attempt.run()

    assert (ended.why, ended.exit_code, ended.signal, ended.started) == ("exited", 0, None, True)
    assert attempt.store.document(f"{PREFIX}checkpoints/step-5.pt/manifest.json")["step"] == 5
    assert attempt.store.objects[f"{PREFIX}output/report/final.txt"] == b"done"
    listing = OutputListing.model_validate_json(attempt.store.objects[f"{PREFIX}output.json"])
    assert [(file.path, file.bytes) for file in listing.files] == [("report/final.txt", 4)]
    assert listing.files[0].sha256 == hashlib.sha256(b"done").hexdigest()
    assert "step 5/5 loss 0.125" in attempt.log
    assert any(key.startswith(f"{PREFIX}logs/training-") for key in attempt.store.objects)
    assert attempt.folder.exit_code.read_text() == "0\n"
    assert attempt.folder.complete.exists()
    assert attempt.heartbeats.sent >= 1
    assert attempt.rests == [pytest.approx(POWER_OFF_GRACE_S, abs=5)]


def test_log_says_how_long_it_took_to_install_a_python(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "print('x')")
    attempt.python_install_s = 21.5

    attempt.run()

    assert f"{PYTHON_INSTALLED} 21.5 s" in attempt.log


def test_events_of_a_success_are_signed_and_say_how_it_went(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, CHECKPOINT)

    attempt.run()

    assert all(is_authentic(AgentEvent.model_validate(event).model_dump(), SECRET) for event in attempt.bus.events)
    (started,) = attempt.bus.of("Training Started")
    assert TrainingStarted.model_validate(started["data"]).log_stream == attempt.job.log_stream
    assert TrainingStarted.model_validate(started["data"]).code_files == 1
    (saved,) = attempt.bus.of("Checkpoint Saved")
    progress = saved["data"]["progress"]
    assert (progress["step"], progress["total_steps"], progress["loss"]) == (5, 5, 0.125)
    assert attempt.bus.of("Progress") == []


def test_metrics_go_to_their_own_stream_and_their_history_to_the_bucket(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, CHECKPOINT)

    attempt.run()

    kinds = [json.loads(line)["kind"] for line in attempt.metrics_stream.lines]
    assert {"training", "machine"} == set(kinds)
    history = MetricsHistory.model_validate(attempt.store.document(f"{PREFIX}metrics.json"))
    assert history.training["loss"].last == 0.125
    assert history.machine["gpu0_percent"].last == 97.0
    written = attempt.store.written
    assert written.index(f"{PREFIX}metrics.json") < written.index(f"{PREFIX}final.json")


def test_failure_is_reported_with_its_exit_code_and_last_lines(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "import sys; print('could not read the labels'); sys.exit(3)")

    ended = attempt.run()

    assert (ended.why, ended.exit_code) == ("exited", 3)
    assert ended.last_lines == ("could not read the labels",)
    assert attempt.folder.exit_code.read_text() == "3\n"
    assert not attempt.folder.complete.exists()


def test_project_without_the_script_is_a_failed_setup(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "", script="absent.py")

    ended = attempt.run()

    assert (ended.why, ended.started, ended.exit_code) == ("setup_failed", False, None)
    assert "absent.py" in ended.message
    assert "absent.py" in attempt.log
    assert not attempt.folder.exit_code.exists()
    assert attempt.bus.of("Training Started") == []


def test_success_without_the_required_checkpoint_is_none(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "print('nothing saved')", verify_checkpoints=True)

    ended = attempt.run()

    assert (ended.why, ended.exit_code) == ("checkpoint_missing", 0)
    assert not attempt.folder.complete.exists()


def test_success_without_a_checkpoint_is_a_success_with_a_warning(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "print('nothing saved')")

    ended = attempt.run()

    assert (ended.why, ended.exit_code, ended.warnings) == ("exited", 0, (NO_CHECKPOINT,))
    assert NO_CHECKPOINT in attempt.log


def test_failure_without_a_checkpoint_has_another_trouble_to_tell_of(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "raise SystemExit(3)")

    assert attempt.run().warnings == ()


def test_start_tells_of_newer_checkpoints_that_are_damaged(tmp_path: Path) -> None:
    files = [
        LinkedFile(path=name, bytes=7, sha256=hashlib.sha256(b"weights").hexdigest(), url=f"https://s3/{name}")
        for name in ("step-2.pt", "step-1.pt")
    ]
    points = [ResumePoint(manifest_key=f"runs/{file.path}", name=file.path, files=(file,)) for file in files]
    attempt = Attempt(tmp_path, "print('training')", resume_points=points)
    attempt.links.contents = {"https://s3/step-2.pt": b"damaged", "https://s3/step-1.pt": b"weights"}

    ended = attempt.run()

    (event,) = attempt.bus.of("Training Started")
    started = TrainingStarted.model_validate(event["data"])
    assert started.resumed_from == "runs/step-1.pt"
    (warning,) = started.warnings
    assert warning.startswith("checkpoint step-2.pt cannot be used: step-2.pt is damaged")
    assert ended.warnings == ()


def test_stop_lets_the_training_save(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, SAVES_AND_LEAVES)
    attempt.when_training(lambda: attempt.ask(Request.STOP))

    ended = attempt.run()

    assert (ended.why, ended.exit_code) == ("stop", 75)
    assert f"{PREFIX}checkpoints/step-9.pt/manifest.json" in attempt.store.objects


def test_stop_now_kills_and_uploads_nothing_more(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, WRITES_OUTPUT_FIRST)
    attempt.when_training(lambda: attempt.ask(Request.STOP_NOW))

    ended = attempt.run()

    assert (ended.why, ended.exit_code, ended.signal) == ("stop", None, 9)
    assert not any("output/" in key for key in attempt.store.objects)


def test_what_the_training_left_running_ends_with_it(tmp_path: Path) -> None:
    child = "import time; time.sleep(60)"
    attempt = Attempt(
        tmp_path, f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {child!r}]).pid)"
    )

    ended = attempt.run()

    pid = int(ended.last_lines[0])
    limit = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_training_that_ignores_the_stop_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, DEAF, save_limit_s=1)
    attempt.when_training(lambda: attempt.ask(Request.STOP))

    ended = attempt.run()

    assert (ended.why, ended.signal) == ("stop", 9)
    assert attempt.folder.exit_code.read_text() == "137\n"


def test_stop_that_came_before_the_training_began_starts_nothing(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, CHECKPOINT)
    attempt.ask(Request.STOP)
    released = threading.Event()
    slow = attempt.store.get_file

    def get_file(key: str, path: Path, cancelled: Any, stretch: Any = None) -> str:
        released.wait(5)
        return slow(key, path, cancelled, stretch)

    attempt.store.get_file = get_file  # type: ignore[method-assign]

    ended = attempt.run()
    released.set()

    assert (ended.why, ended.started) == ("stop", False)
    assert "step 5/5" not in attempt.log


def test_notice_makes_a_training_without_sigusr1_leave_at_once_and_the_machine_waits_for_ec2(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, SAVES_AND_LEAVES)
    attempt.when_training(lambda: (attempt.warn(30.0), attempt.ask(Request.NOTICE)))

    ended = attempt.run()

    assert (ended.why, ended.exit_code) == ("notice", 75)
    (rest,) = attempt.rests
    assert 80 < rest <= 90


def test_notice_asks_a_training_with_sigusr1_to_save_and_lets_it_go_on(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, HEARS_SIGUSR1)
    attempt.when_training(lambda: (attempt.warn(2.0), attempt.ask(Request.NOTICE)))

    ended = attempt.run()

    assert ended.why == "notice"
    assert attempt.log.index("saving") < attempt.log.index("(SIGTERM)")


def test_output_is_saved_after_the_report_when_time_is_short(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, WRITES_OUTPUT_FIRST)
    attempt.when_training(lambda: (attempt.warn(30.0), attempt.ask(Request.NOTICE)))

    attempt.run()

    written = attempt.store.written
    assert written.index(f"{PREFIX}final.json") < written.index(f"{PREFIX}output/o")


def test_deadline_asks_to_save_and_leave(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, SAVES_AND_LEAVES, max_runtime_s=1)

    ended = attempt.run()

    assert ended.why == "deadline"


def test_silence_of_the_controller_ends_the_machine_at_once_after_saving(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, SAVES_AND_LEAVES, dead_man_s=1, heartbeat_interval_s=1)
    attempt.heartbeats.fails = True

    ended = attempt.run()

    assert ended.why == "dead_man"
    assert "silent" in ended.message
    assert attempt.rests == [0.0]


def test_shutdown_of_the_machine_lets_the_training_save(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, SAVES_AND_LEAVES)
    attempt.when_training(attempt.going_down.set)

    ended = attempt.run()

    assert (ended.why, ended.exit_code) == ("dead_man", 75)
    assert "shut down" in ended.message


def test_kill_with_the_kernels_report_is_want_of_memory(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "import os; os.kill(os.getpid(), 9)")
    attempt.memory_kills = iter([4, 5])

    ended = attempt.run()

    assert (ended.why, ended.signal) == ("out_of_memory", 9)


def test_want_of_memory_is_told_with_its_figures(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "import os; os.kill(os.getpid(), 9)")
    attempt.memory_kills = iter([4, 5])
    attempt.memory = Memory((Kill(2.0, 4242, "python3", 31_500_000),), peak_kib=32_000_000, limit_kib=32_400_000)

    ended = attempt.run()

    assert "killed python3 (process 4242), which held 30.0 GiB" in ended.message
    assert "the peak was 30.5 GiB; there are 30.9 GiB" in ended.message


def test_worker_that_the_kernel_killed_is_told_though_the_training_ended_by_itself(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "raise SystemExit(1)")
    attempt.memory_kills = iter([4, 5])
    attempt.memory = Memory((Kill(2.0, 4242, "pt_data_worker", None),), limit_kib=512 * 1024)

    ended = attempt.run()

    assert (ended.why, ended.exit_code) == ("exited", 1)
    assert "killed pt_data_worker (process 4242)" in ended.message
    assert "512 MiB" in ended.message


def test_report_that_does_not_get_through_is_sent_again(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "raise SystemExit(3)")
    attempt.bus.failures["Training Ended"] = 1

    ended = attempt.run()

    assert ended.exit_code == 3
    assert "could not be reported" in next(attempt.folder.path.glob("training-*.log")).read_text()


def test_start_that_does_not_get_through_is_told_again(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "import time; time.sleep(1.0)")
    attempt.bus.failures["Training Started"] = 1

    attempt.run()

    assert len(attempt.bus.of("Training Started")) == 1


def test_log_that_does_not_get_through_is_told(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "print('x')")
    attempt.stream.fails = True

    ended = attempt.run()

    assert ended.exit_code == 0
    assert "log is not complete" in ended.message


@pytest.mark.parametrize(
    ("script", "others"),
    [
        ("run", {"run": "#!/nowhere\n"}),
        ("train.py", {"requirements.txt": "no-such-package\n"}),
    ],
)
def test_what_cannot_be_started_is_a_failed_setup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, others: dict[str, str]
) -> None:
    (tmp_path / "uv").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    attempt = Attempt(tmp_path, "x", others=others, script=script)

    ended = attempt.run()

    assert (ended.why, ended.started) == ("setup_failed", False)
    assert ended.message != ""
