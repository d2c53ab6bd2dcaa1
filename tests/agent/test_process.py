"""Real processes: the training in its group, the start command, the kernel's counts."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from signal import Signals
from unittest.mock import ANY

import pytest

from runctl.agent import out_of_memory
from runctl.agent.layout import AttemptFolder
from runctl.agent.main import main
from runctl.agent.preparation import Prepared
from runctl.agent.request_files import Request, found
from runctl.agent.run_log import RunLog
from runctl.agent.start import StartFailedError, start
from runctl.agent.training_process import Exit, KeptTraining, KeptTrainings, catches
from runctl.agent.worker import Worker
from tests.agent.fakes import Sayings
from tests.agent.processes import LIMIT_S, is_running, until


def _start(tmp_path: Path, *command: str) -> KeptTraining:
    folder = AttemptFolder(tmp_path / "attempt-1")
    folder.create()
    folder.code.mkdir(exist_ok=True)
    prepared = Prepared(command, {"PYTHONUNBUFFERED": "1", "PATH": os.defpath}, None, 60.0)
    return KeptTrainings().start(prepared, folder, RunLog(tmp_path / "training.log"))


def _training(tmp_path: Path, code: str) -> KeptTraining:
    return _start(tmp_path, sys.executable, "-c", code)


@pytest.mark.parametrize(
    ("code", "ended", "shell_code"),
    [
        ("raise SystemExit(3)", Exit(code=3), 3),
        ("import os; os.kill(os.getpid(), 9)", Exit(signal=9), 137),
    ],
)
def test_end_of_a_training_is_its_exit_code_or_its_signal(
    tmp_path: Path, code: str, ended: Exit, shell_code: int
) -> None:
    training = _training(tmp_path, code)
    until(training.poll)

    assert training.poll() == replace(ended, peak_kib=ANY)
    assert ended.shell_code == shell_code


def test_both_outputs_go_to_the_log(tmp_path: Path) -> None:
    training = _training(tmp_path, "import sys; print('out'); print('err', file=sys.stderr)")
    until(training.poll)

    assert sorted((tmp_path / "training.log").read_text().split()) == ["err", "out"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_training_hears_sigusr1_only_with_a_handler(tmp_path: Path) -> None:
    wait = "print('ready'); time.sleep(60)"
    deaf = _training(tmp_path / "deaf", f"import time; {wait}")
    until(lambda: "ready" in (tmp_path / "deaf" / "training.log").read_text())
    hearing = _training(tmp_path / "hearing", f"import signal, time; signal.signal(signal.SIGUSR1, print); {wait}")
    until(lambda: "ready" in (tmp_path / "hearing" / "training.log").read_text())

    heard = (deaf.hears(Signals.SIGUSR1), hearing.hears(Signals.SIGUSR1))
    deaf.kill()
    hearing.kill()
    until(lambda: deaf.poll() and hearing.poll())

    assert heard == (False, True)


def test_signals_caught_are_read_from_the_kernels_mask() -> None:
    status = "Name:\tx\nSigIgn:\tffffffffffffffff\nSigCgt:\t0000000000000200\n"

    assert catches(status, Signals.SIGUSR1)
    assert not catches(status, Signals.SIGTERM)
    assert not catches("Name:\tx\n", Signals.SIGUSR1)


def test_kill_takes_what_the_training_started_too(tmp_path: Path) -> None:
    child = "import time; time.sleep(60)"
    code = (
        f"import subprocess, sys, time; print(subprocess.Popen([sys.executable, '-c', {child!r}]).pid); time.sleep(60)"
    )
    training = _training(tmp_path, code)
    until(lambda: (tmp_path / "training.log").read_text().endswith("\n"))
    pid = int((tmp_path / "training.log").read_text())

    training.kill()
    until(training.poll)

    until(lambda: not is_running(pid))


def test_command_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        _start(tmp_path, str(tmp_path / "absent"))


def _program(tmp_path: Path, script: str) -> Path:
    program = tmp_path / "runctl-agent"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_start_leaves_one_supervisor_behind_however_often_it_is_called(tmp_path: Path) -> None:
    folder = AttemptFolder(tmp_path / "attempt-1")
    program = _program(tmp_path, f'echo "$*" >> "{tmp_path}/calls"; echo {{}} > "{folder.ready}"')

    started = [start(folder, "r-1", 1, program) for _ in range(2)]

    assert started == [True, False]
    assert (tmp_path / "calls").read_text() == "guard r-1 1\n"


def test_supervisor_that_does_not_come_up_fails_the_command_and_may_be_started_again(tmp_path: Path) -> None:
    folder = AttemptFolder(tmp_path / "attempt-1")
    failing = _program(tmp_path, "echo no hand-off; exit 1")

    with pytest.raises(StartFailedError, match="no hand-off"):
        start(folder, "r-1", 1, failing)
    again = start(folder, "r-1", 1, _program(tmp_path, f'echo {{}} > "{folder.ready}"'))

    assert again


def test_stop_and_notice_leave_requests_even_before_there_is_a_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNCTL_ROOT", str(tmp_path))

    codes = [main(["stop", "r-1", "2"]), main(["stop", "r-1", "2", "--now"]), main(["notice", "r-1", "2"])]

    assert codes == [0, 0, 0]
    assert found(AttemptFolder.of(tmp_path, "r-1", 2).requests) == set(Request)


def test_worker_hands_over_what_its_step_raised() -> None:
    def step() -> None:
        raise ValueError("a fault")

    with Worker("test", step, 0.0, Sayings()) as worker:
        assert worker.stop(LIMIT_S)

    with pytest.raises(ValueError, match="a fault"):
        worker.check()


def test_worker_goes_on_through_what_the_world_refuses_and_says_it_once() -> None:
    steps: list[int] = []
    say = Sayings()

    def step() -> None:
        steps.append(1)
        raise OSError("no space left on device")

    with Worker("test", step, 0.0, say) as worker:
        until(lambda: len(steps) > 3)
        worker.stop(LIMIT_S)

    worker.check()
    assert say.lines == ["test: no space left on device; trying on"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_kernel_tells_its_out_of_memory_kills() -> None:
    count = out_of_memory.kills()

    assert count is not None
    assert count >= 0


def test_kernels_log_tells_who_was_killed_and_how_much_it_held() -> None:
    lines = [
        "6,339,5140900,-;NET: Registered protocol family 10\n",
        "3,1234,61000000,-;Out of memory: Killed process 4242 (python3 train) total-vm:40000000kB, "
        "anon-rss:31500000kB, file-rss:4kB, shmem-rss:0kB, UID:0 pgtables:62000kB oom_score_adj:0\n",
        "3,1240,62500000,-;Memory cgroup out of memory: Killed process 17 (sh)\n",
        "nonsense",
    ]

    assert list(out_of_memory.killed(lines)) == [
        out_of_memory.Kill(61.0, 4242, "python3 train", 31_500_000),
        out_of_memory.Kill(62.5, 17, "sh", None),
    ]


def test_kernels_log_that_may_not_be_read_tells_nothing(tmp_path: Path) -> None:
    assert list(out_of_memory.kernel_lines(tmp_path / "absent")) == []


def test_figures_of_the_control_group_count_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = tmp_path / "system.slice" / "runctl.service"
    group.mkdir(parents=True)
    (group / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")
    (group / "memory.peak").write_text(f"{3 * 2**30}\n")
    (group / "memory.max").write_text("max\n")
    (tmp_path / "cgroup").write_text("0::/system.slice/runctl.service\n")
    (tmp_path / "meminfo").write_text("MemTotal:        8000000 kB\n")
    (tmp_path / "kmsg").write_text("3,1,5000000,-;Out of memory: Killed process 7 (old)\n")
    names = {"_CGROUPS": "", "_OWN_CGROUP": "cgroup", "_MEMINFO": "meminfo", "_KERNEL_LOG": "kmsg"}
    for constant, name in names.items():
        monkeypatch.setattr(out_of_memory, constant, tmp_path / name)

    assert out_of_memory.kills() == 2
    assert out_of_memory.memory(since_s=10.0) == out_of_memory.Memory((), 3 * 2**20, 8_000_000)


@pytest.mark.skipif(sys.platform != "linux", reason="closes nothing elsewhere")
def test_training_has_no_input_to_wait_for(tmp_path: Path) -> None:
    training = _training(tmp_path, "import sys; print(repr(sys.stdin.read()))")
    until(training.poll)

    assert (tmp_path / "training.log").read_text() == "''\n"


def test_agent_runs_on_its_own_packages_alone(tmp_path: Path) -> None:
    """The archive's layout, by links, and a Python that sees nothing else."""
    import botocore
    import dateutil
    import jmespath
    import six
    import urllib3

    import runctl.agent

    library = tmp_path / "lib"
    (library / "runctl").mkdir(parents=True)
    (library / "runctl" / "__init__.py").touch()
    (library / "runctl" / "agent").symlink_to(Path(runctl.agent.__file__).parent)
    for package in (botocore, dateutil, jmespath, urllib3):
        (library / package.__name__).symlink_to(Path(package.__file__).parent)
    (library / "six.py").symlink_to(six.__file__)
    code = (
        f"import sys; sys.path.insert(0, {str(library)!r}); import runctl.agent.wiring; print('boto3' in sys.modules)"
    )

    ran = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", code], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "False\n", "")
