"""The process that keeps the training: one training whatever happens, nothing left of it, its end on the disk."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runctl.agent import keeper
from runctl.agent.layout import AttemptFolder
from runctl.agent.leftovers import MARKER, end_leftovers
from runctl.agent.preparation import Prepared
from runctl.agent.run_log import RunLog
from runctl.agent.training_process import KeptTraining, KeptTrainings
from tests.agent.processes import is_running, until

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    made = AttemptFolder(tmp_path / "attempt-1")
    made.create()
    made.code.mkdir()
    return made


def _start(folder: AttemptFolder, code: str) -> KeptTraining:
    command = (sys.executable, "-c", code)
    log = RunLog(folder.path / "training.log")
    return KeptTrainings().start(Prepared(command, {"PYTHONUNBUFFERED": "1"}, None, 60.0), folder, log)


def _said(folder: AttemptFolder) -> str:
    return (folder.path / "training.log").read_text()


def test_training_that_was_started_before_is_not_started_again(folder: AttemptFolder) -> None:
    first = _start(folder, "print('once'); import time; time.sleep(0.3)")
    second = _start(folder, "print('twice')")

    until(second.poll)

    assert second.pid == first.pid
    assert _said(folder) == "once\n"


def test_two_keepers_at_once_start_one_training(folder: AttemptFolder) -> None:
    command = [sys.executable, "-I", "-S", keeper.__file__, str(folder.path), "/bin/sh", "-c", "echo x; sleep 0.3"]
    with (folder.path / "training.log").open("ab") as out:
        both = [subprocess.Popen(command, stdout=out) for _ in range(2)]
    for one in both:
        one.wait()

    until(lambda: (folder.path / keeper.ENDED).exists())

    assert _said(folder) == "x\n"


def test_end_is_written_without_anybody_watching_and_names_the_process(folder: AttemptFolder) -> None:
    training = _start(folder, "raise SystemExit(3)")

    until(lambda: (folder.path / keeper.ENDED).exists())

    ended = json.loads((folder.path / keeper.ENDED).read_text())
    assert folder.exit_code.read_text() == "3\n"
    assert (ended["exit_code"], ended["pid"], ended["boot_id"]) == (3, training.pid, keeper.boot_id())
    assert ended["peak_kib"] > 0


@linux
def test_whatever_the_training_started_is_gone_at_its_end_in_whatever_session(folder: AttemptFolder) -> None:
    grandchild = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {grandchild!r}], start_new_session=True)"
    training = _start(
        folder, f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {child!r}]); time.sleep(0.5)"
    )

    until(training.poll)

    assert not is_running(int(_said(folder)))


@linux
def test_kill_reaches_orphans_in_other_sessions(folder: AttemptFolder) -> None:
    grandchild = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {grandchild!r}], start_new_session=True)"
    training = _start(
        folder, f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {child!r}]); time.sleep(60)"
    )
    until(lambda: _said(folder).endswith("\n"))

    training.kill()
    until(training.poll)

    assert not is_running(int(_said(folder)))


def test_keeper_outlives_the_signals_of_a_shutdown_and_the_training_has_the_usual_ones(folder: AttemptFolder) -> None:
    training = _start(folder, "print('training'); import time; time.sleep(60)")
    until(lambda: _said(folder))
    kept_by = json.loads((folder.path / keeper.STARTED).read_text())["keeper"]

    os.kill(kept_by, signal.SIGTERM)
    training.send(signal.SIGTERM)
    until(training.poll)

    assert folder.exit_code.read_text() == "143\n"


def test_full_disk_at_the_end_does_not_lose_the_exit_code(tmp_path: Path) -> None:
    reserved = keeper.Reserved(tmp_path / "exit")
    blocks_before = (tmp_path / "exit.reserved").stat().st_blocks

    reserved.write("3\n")

    assert blocks_before * 512 >= keeper.ROOM_BYTES
    assert (tmp_path / "exit").read_text() == "3\n"


@linux
def test_what_a_killed_supervisor_left_running_is_ended_and_its_half_made_work_removed(folder: AttemptFolder) -> None:
    marked = {**os.environ, MARKER: str(folder.path)}
    setup = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=marked, start_new_session=True)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (folder.code / "half").touch()

    end_leftovers(folder)

    assert setup.wait(5) == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    other.wait()
    assert not folder.code.exists()


def test_child_that_the_memory_killer_should_take_is_the_training(folder: AttemptFolder) -> None:
    training = _start(folder, "print(open('/proc/self/oom_score_adj').read())")

    until(training.poll)

    assert _said(folder).split() == ["0"]
