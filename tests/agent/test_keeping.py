"""Who starts a supervisor again that died: systemd by the unit, or the guard."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runctl.agent import start as start_module
from runctl.agent.guard import guard
from runctl.agent.layout import AttemptFolder
from runctl.agent.start import CANNOT_START, start
from runctl.agent.unit import RESTARTS, unit_text
from tests.agent.fakes import FakePower, Sayings


@pytest.fixture(autouse=True)
def _own_signals() -> object:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def _dies_until(tmp_path: Path, deaths: int, death: str) -> list[str]:
    """A program that dies so many times, and then ends well."""
    return ["/bin/sh", "-c", f'echo x >>"{tmp_path}/lives"; [ $(wc -l <"{tmp_path}/lives") -gt {deaths} ] || {death}']


def _lives(tmp_path: Path) -> int:
    return len((tmp_path / "lives").read_text().splitlines())


def test_supervisor_that_was_killed_is_started_again(tmp_path: Path) -> None:
    power, say = FakePower(), Sayings()

    code = guard(_dies_until(tmp_path, 2, "kill -9 $$"), power, say, wait=lambda _: None)

    assert (code, _lives(tmp_path), power.is_off) == (0, 3, False)
    assert "killed by signal 9" in say


def test_supervisor_that_cannot_read_its_job_is_not_started_again(tmp_path: Path) -> None:
    power = FakePower()

    code = guard(_dies_until(tmp_path, 9, f"exit {CANNOT_START}"), power, Sayings(), wait=lambda _: None)

    assert (code, _lives(tmp_path), power.is_off) == (CANNOT_START, 1, False)


def test_supervisor_that_dies_again_and_again_ends_the_machine(tmp_path: Path) -> None:
    power, say = FakePower(), Sayings()

    guard(_dies_until(tmp_path, 10_000, "exit 70"), power, say, wait=lambda _: None)

    assert (_lives(tmp_path), power.is_off) == (RESTARTS + 1, True)
    assert "given up" in say


def test_end_that_was_asked_for_is_passed_on_and_no_death(tmp_path: Path) -> None:
    def stop(_: float) -> None:
        raise AssertionError("it was started again")

    code = guard(["/bin/sh", "-c", "kill -TERM $PPID; sleep 60"], FakePower(), Sayings(), wait=stop)

    assert code == -signal.SIGTERM


def test_end_that_is_asked_for_while_the_supervisor_starts_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class AskedMeanwhile(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("runctl.agent.guard.subprocess.Popen", AskedMeanwhile)

    code = guard(["/bin/sleep", "20"], FakePower(), Sayings())

    assert code == -signal.SIGTERM


def _unit(tmp_path: Path) -> str:
    command = ["/opt/runctl/agent/current/bin/runctl-agent", "supervise", "r-0123456789ab", "1"]
    return unit_text(command, tmp_path / "supervisor.log", {"AWS_REGION": "eu-central-1", "PIP_X": 'a "b" 100% $c \\d'})


@pytest.mark.parametrize(
    ("promise", "lines"),
    [
        ("at a shutdown the network outlives it", ["After=network.target network-online.target"]),
        ("it has the time to save that the training is promised", ["TimeoutStopSec=330"]),
        ("its death leaves the training alone, and so does a shutdown that it was told of", ["KillMode=process"]),
        ("it is started again when it dies", ["Restart=on-failure", "RestartSec=1"]),
        (
            "one that dies again and again ends the machine",
            ["StartLimitBurst=20", "StartLimitIntervalSec=600", "StartLimitAction=poweroff"],
        ),
        ("a job that cannot be read does not", ["RestartPreventExitStatus=1", "SuccessExitStatus=1"]),
        ("it outlives a training that had too little memory", ["OOMPolicy=continue", "OOMScoreAdjust=-900"]),
        ("after a restart of the machine it tells", ["WantedBy=multi-user.target"]),
    ],
)
def test_unit_of_the_supervisor_keeps_its_promises(tmp_path: Path, promise: str, lines: list[str]) -> None:
    assert set(lines) <= set(_unit(tmp_path).splitlines()), promise


def test_unit_has_no_limit_of_its_own_on_how_long_a_run_takes(tmp_path: Path) -> None:
    assert "RuntimeMaxSec" not in _unit(tmp_path)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_every_line_of_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "runctl-r-0123456789ab-1.service"
    unit.write_text(_unit(tmp_path).replace("/opt/runctl/agent/current/bin/runctl-agent", "/bin/true"))

    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )

    assert (verified.returncode, verified.stderr) == (0, "")


def test_unit_gives_variables_as_they_are(tmp_path: Path) -> None:
    assert 'Environment="PIP_X=a \\"b\\" 100%% $c \\\\d"' in _unit(tmp_path)


def test_start_writes_enables_and_starts_the_unit_where_systemd_manages_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = AttemptFolder(tmp_path / "attempt-1")
    folder.create()
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "systemctl").write_text(f'#!/bin/sh\necho "$*" >>"{tmp_path}/asked"\necho {{}} >"{folder.ready}"\n')
    (tools / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    monkeypatch.setattr(start_module, "_SYSTEMD_BOOTED", tmp_path)
    monkeypatch.setattr(start_module, "UNITS", tmp_path)

    start(folder, "r-1", 1, Path(sys.executable))

    assert (tmp_path / "runctl-r-1-1.service").read_text().count("ExecStart=") == 1
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[:3] == [
        "--quiet daemon-reload",
        "--quiet enable runctl-r-1-1.service",
        "--quiet start runctl-r-1-1.service",
    ]
