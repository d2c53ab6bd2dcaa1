"""`runctl shell`: by Session Manager on AWS, among the machine's processes on the local target."""

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from runctl.local.cloud import LocalShell
from runctl.model.machine import MachineState
from tests.cli.command_line import CommandLine
from tests.client.deployment import a_run, an_attempt

MACHINE = "i-00000000000000001"

PLUGIN = """#!{python}
import json, os, sys
if sys.argv[1:] == ["--version"]:
    print("{version}")
    sys.exit()
told = {{"arguments": sys.argv[1:], "variable": os.environ.get("AWS_SSM_START_SESSION_RESPONSE")}}
with open("{log}", "a") as file:
    file.write(json.dumps(told) + "\\n")
sys.exit({code})
"""


@pytest.fixture(autouse=True)
def machine(runctl: CommandLine) -> None:
    """A run that trains, on a machine that answers SSM."""
    runctl.deployment.add(a_run(), an_attempt())
    runctl.deployment.machines.add(MACHINE)
    runctl.deployment.machines.online.add(MACHINE)


@pytest.fixture
def on_aws(runctl: CommandLine) -> CommandLine:
    """The same run, of a deployment in an account."""
    (runctl.folder / ".runctl.toml").write_text('target = "aws"\n[aws]\nprofile = "work"\n')
    return runctl


class Plugin:
    """A Session Manager plugin that notes what it is told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, version: str, code: int) -> None:
        self._log = folder / "plugin.log"
        folder.mkdir()
        file = folder / "session-manager-plugin"
        file.write_text(PLUGIN.format(python=sys.executable, version=version, log=self._log, code=code))
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    @property
    def told(self) -> list[dict[str, Any]]:
        """What it was told, call after call."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]


def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str = "1.2.707.0", code: int = 0) -> Plugin:
    return Plugin(tmp_path / "plugin", monkeypatch, version, code)


# -- on AWS ----------------------------------------------------------------------------------------------------------


def test_shell_on_aws_is_a_session_of_the_plugin(
    on_aws: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = plugin(tmp_path, monkeypatch, code=7)

    answer = on_aws("shell", "last")

    (told,) = found.told
    assert answer.exit_code == 7
    assert told["arguments"] == [
        "AWS_SSM_START_SESSION_RESPONSE",
        "us-east-1",
        "StartSession",
        "work",
        json.dumps({"Target": MACHINE}),
        "https://ssm.us-east-1.amazonaws.com",
    ]
    assert json.loads(told["variable"]) == {"SessionId": "ada-1", "TokenValue": "token", "StreamUrl": "wss://stream"}
    assert on_aws.deployment.sessions.ended == ["ada-1"]
    assert "/opt/runctl/runs/r-1hx3k7pabcde/attempt-1/code" in answer.stderr


def test_old_plugin_is_told_by_argument(on_aws: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = plugin(tmp_path, monkeypatch, version="1.2.497.0")

    on_aws("shell", "last")

    (told,) = found.told
    assert json.loads(told["arguments"][0])["TokenValue"] == "token"
    assert told["variable"] is None


def test_port_is_brought_here_beside_the_shell(
    on_aws: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin(tmp_path, monkeypatch)

    answer = on_aws("shell", "last", "-L", "16006:6006")

    assert on_aws.deployment.sessions.begun == [(MACHINE, "16006", "6006"), (MACHINE,)]
    assert sorted(on_aws.deployment.sessions.ended) == ["ada-1", "ada-2"]
    assert "127.0.0.1:16006" in answer.stderr


def test_without_the_plugin_nothing_is_begun(on_aws: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    answer = on_aws("shell", "last")

    assert answer.exit_code == 2
    assert "session-manager-working-with-install-plugin" in answer.stderr
    assert on_aws.deployment.sessions.begun == []


# -- whose and when --------------------------------------------------------------------------------------------------


def test_somebody_elses_machine_is_not_entered_even_by_the_whole_id(on_aws: CommandLine) -> None:
    run = on_aws.deployment.add(a_run(user="bob"), an_attempt())

    answer = on_aws("shell", run.run_id)

    assert answer.exit_code == 2
    assert "bob's, not yours" in answer.stderr
    assert on_aws.deployment.sessions.begun == []


def test_run_without_a_machine_says_why(runctl: CommandLine) -> None:
    run = runctl.deployment.add(a_run(), an_attempt(instance_id=None))

    answer = runctl("shell", run.run_id)

    assert answer.exit_code == 4
    assert "has no machine yet" in answer.stderr


def test_machine_that_is_going_is_not_entered(runctl: CommandLine) -> None:
    runctl.deployment.machines.add(MACHINE, MachineState.SHUTTING_DOWN)

    answer = runctl("shell", "last")

    assert answer.exit_code == 4
    assert "shutting-down" in answer.stderr


def test_machine_that_ssm_does_not_know_yet_is_waited_for(runctl: CommandLine) -> None:
    runctl.deployment.machines.online.clear()

    answer = runctl("shell", "last")

    assert answer.exit_code == 4
    assert f"runctl aws wait-ssm {MACHINE}" in answer.stderr


def test_shell_answers_no_document(runctl: CommandLine) -> None:
    assert runctl.json("shell", "last").exit_code == 2


@pytest.mark.parametrize("ports", ["x", "0", "70000", "1:x", ":6006x"])
def test_what_is_no_port_is_refused(runctl: CommandLine, ports: str) -> None:
    answer = runctl("shell", "last", "-L", ports)

    assert answer.exit_code == 2
    assert "is not a port" in answer.stderr


# -- on the local target ---------------------------------------------------------------------------------------------


def test_local_shell_runs_in_the_machines_folder_and_environment(runctl: CommandLine, tmp_path: Path) -> None:
    written = tmp_path / "written"
    runctl.cloud.shells[MACHINE] = LocalShell(
        ("/bin/sh", "-c", 'echo "$MARK $(pwd)" > "$OUT"; exit 3'), tmp_path, {"MARK": "inside", "OUT": str(written)}
    )

    answer = runctl("shell", "last", "-L", "6006")

    assert answer.exit_code == 3
    assert written.read_text() == f"inside {tmp_path}\n"
    assert "Port 6006 of the machine is 127.0.0.1:6006 here already." in answer.stderr


def test_local_port_under_another_number_is_refused(runctl: CommandLine) -> None:
    assert runctl("shell", "last", "-L", "16006:6006").exit_code == 2
