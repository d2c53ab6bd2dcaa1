"""An agent that fails, is killed or restarted with its machine, and a bucket that is gone at the end."""

import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from runctl.agent.course import FAULTS_FORGIVEN, StartAgainError
from runctl.agent.request_files import Request
from runctl.agent.training_process import KeptTrainings
from tests.agent.attempt import Attempt
from tests.agent.factories import PREFIX
from tests.agent.scripts import CHECKPOINT, SAVES_AND_LEAVES


def _let_the_agent_fail(attempt: Attempt) -> None:
    def fault(path: str) -> str | None:
        raise ValueError("a fault of ours")

    attempt.when_training(lambda: setattr(attempt.metadata, "get", fault))


def test_agent_that_failed_is_started_again_and_takes_hold_of_the_training(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "import time; print('training', flush=True); time.sleep(1.5); print('step 1/1')")
    working = attempt.metadata.get
    _let_the_agent_fail(attempt)

    with pytest.raises(StartAgainError):
        attempt.supervisor().run()
    is_on_after_the_fault = not attempt.power.is_off
    attempt.metadata.get = working  # type: ignore[method-assign]
    ended = attempt.run()

    assert is_on_after_the_fault
    assert (ended.why, ended.exit_code) == ("exited", 0)
    assert [line for line in attempt.stream.lines if not line.startswith("runctl: ")] == ["training", "step 1/1"]
    assert "a fault of ours" in attempt.log
    assert len(attempt.bus.of("Training Started")) == 1
    assert len(list(attempt.folder.path.glob("training-*.log"))) == 1


def test_agent_that_fails_again_and_again_lets_the_training_save_and_reports(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, SAVES_AND_LEAVES)
    _let_the_agent_fail(attempt)

    for _ in range(FAULTS_FORGIVEN):
        with pytest.raises(StartAgainError):
            attempt.supervisor().run()
    ended = attempt.run()

    assert ended.why == "dead_man"
    assert "a fault of ours" in ended.message
    assert f"{PREFIX}checkpoints/step-9.pt/manifest.json" in attempt.store.objects


def test_agent_that_fails_before_the_training_is_worth_another_machine(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "print('never seen')")

    def fail(*_: object) -> None:
        raise subprocess.CalledProcessError(-15, ["keeper"])

    attempt.trainings = SimpleNamespace(find=lambda _: None, start=fail)

    ended = attempt.run()

    assert (ended.why, ended.started) == ("dead_man", False)
    assert "CalledProcessError" in ended.message
    assert "never seen" not in attempt.log


def test_reboot_of_the_machine_ends_the_attempt_with_what_was_uploaded(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, SAVES_AND_LEAVES)
    _let_the_agent_fail(attempt)
    with pytest.raises(StartAgainError):
        attempt.supervisor().run()
    (attempt.folder.checkpoints / "step-1.pt").write_text("cut off")
    attempt.boot_id = "another boot"

    ended = attempt.run()
    KeptTrainings().find(attempt.folder).kill()  # type: ignore[union-attr]

    assert (ended.why, ended.exit_code, ended.started) == ("dead_man", None, True)
    assert "restarted" in ended.message
    assert not any("step-1.pt" in key for key in attempt.store.objects)
    assert attempt.rests == [0.0]


def test_reboot_while_the_machine_waited_for_its_end_ends_it_at_once(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, CHECKPOINT)
    attempt.run()
    attempt.boot_id = "another boot"

    attempt.run()

    assert attempt.rests[1:] == [0.0]


def test_last_checkpoint_waits_for_a_bucket_that_cannot_be_reached_at_the_end(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, CHECKPOINT, save_limit_s=1)
    attempt.store.refused = "checkpoints/"
    attempt.when_said("could not be uploaded", lambda: threading.Timer(2.0, _let_in, [attempt]).start())

    ended = attempt.run()

    assert (ended.why, ended.exit_code) == ("exited", 0)
    assert f"{PREFIX}checkpoints/step-5.pt/manifest.json" in attempt.store.objects


def _let_in(attempt: Attempt) -> None:
    attempt.store.refused = ""


def test_stop_ends_the_wait_for_a_bucket_and_changes_nothing_about_how_the_training_ended(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, CHECKPOINT + "raise SystemExit(3)", save_limit_s=1)
    attempt.store.refused = "checkpoints/"
    attempt.when_said("could not be uploaded", lambda: attempt.ask(Request.STOP))

    ended = attempt.run()

    assert (ended.why, ended.exit_code) == ("exited", 3)
    assert "could not be uploaded in the time that there was" in attempt.log


def test_stop_that_was_told_before_the_agent_was_killed_is_not_told_again(tmp_path: Path) -> None:
    slow_to_leave = SAVES_AND_LEAVES.replace(
        "def leave(*_):\n", "def leave(*_):\n    print('leaving')\n    time.sleep(1.5)\n"
    )
    attempt = Attempt(tmp_path, slow_to_leave)
    working = attempt.metadata.get
    attempt.when_training(lambda: attempt.ask(Request.STOP))
    attempt.when_said("leaving", lambda: setattr(attempt.metadata, "get", None))
    with pytest.raises(StartAgainError):
        attempt.supervisor().run()
    attempt.metadata.get = working  # type: ignore[method-assign]

    ended = attempt.run()

    assert (ended.why, ended.exit_code) == ("stop", 75)
    assert attempt.log.count("(SIGTERM)") == 1


def test_checkpoint_that_was_uploaded_before_the_agent_was_killed_is_not_uploaded_again(tmp_path: Path) -> None:
    text = CHECKPOINT + "print('training', flush=True); import time; time.sleep(2.5)"
    attempt = Attempt(tmp_path, text, verify_checkpoints=True)
    working = attempt.metadata.get
    attempt.when_uploaded("step-5.pt", lambda: setattr(attempt.metadata, "get", None))
    with pytest.raises(StartAgainError):
        attempt.supervisor().run()
    attempt.metadata.get = working  # type: ignore[method-assign]

    ended = attempt.run()

    assert ended.why == "exited"
    assert [key for key in attempt.store.written if key.endswith("manifest.json")] == [
        f"{PREFIX}checkpoints/step-5.pt/manifest.json"
    ]


def test_keeper_that_was_killed_leaves_an_end_that_nobody_knows(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "import os, signal; os.kill(os.getppid(), signal.SIGKILL)")

    ended = attempt.run()

    assert (ended.why, ended.exit_code, ended.signal) == ("dead_man", None, None)
    assert "kept the training was killed" in ended.message
