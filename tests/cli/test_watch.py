"""`runctl watch`: on a terminal, and without one."""

import sys
from pathlib import Path

import pexpect
import pytest

from runctl.model.run import Progress, Run
from runctl.model.status import Reason, RunStatus
from tests.cli.command_line import CommandLine
from tests.client.deployment import NOW, a_run, an_attempt

ROOT = Path(__file__).parents[2]
OTHER_SCREEN, BACK = "\x1b[?1049h", "\x1b[?1049l"


def _failed() -> Run:
    return a_run(
        status=RunStatus.FAILED, reason=Reason.USER_ERROR, ended_at=NOW, message="The training failed.", version=9
    )


def _program(how: str, folder: Path, encoding: str = "utf-8", **environment: str) -> "pexpect.spawn[str]":
    kept = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}", "HOME": str(folder), "TERM": "xterm"}
    return pexpect.spawn(
        sys.executable,
        ["-m", "tests.cli.watched_program", how],
        cwd=str(folder),
        env={**kept, "PYTHONIOENCODING": encoding, **environment},
        dimensions=(24, 60),
        encoding="utf-8",
        timeout=30,
    )


# -- without a terminal ----------------------------------------------------------------------------------------------


def test_without_a_terminal_changes_are_lines_and_the_exit_code_is_the_trainings(runctl: CommandLine) -> None:
    runctl.deployment.add(a_run(), an_attempt())
    going = a_run(message="It trains.", progress=Progress(at=NOW, step=5, loss=0.5))
    runctl.deployment.runs.script = [going, going, going, _failed()]

    answer = runctl("watch", "r-1hx3k7pabcde")

    assert answer.exit_code == 1
    assert answer.stderr.count("It trains.") == 1
    assert answer.stderr.count("step 5, loss 0.5, $0.0") == 1
    assert "\x1b" not in answer.stdout + answer.stderr
    assert "FAILED (USER_ERROR)" in answer.stdout


def test_json_is_the_run_as_it_ended(runctl: CommandLine) -> None:
    runctl.deployment.add(a_run(status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED, ended_at=NOW), an_attempt())

    answer = runctl.json("watch", "last")

    assert (answer.exit_code, answer.data["status"]) == (0, "SUCCEEDED")


def test_interrupt_lets_go_and_says_how_to_come_back(runctl: CommandLine) -> None:
    runctl.deployment.add(a_run(), an_attempt())

    runctl.deployment.slept_s = _Interrupting()

    answer = runctl("watch", "last")

    assert answer.exit_code == 130
    assert "runctl watch r-1hx3k7pabcde" in answer.stderr
    assert runctl.deployment.stopper.commands == []


class _Interrupting(list[float]):
    def append(self, _seconds: float) -> None:
        raise KeyboardInterrupt


# -- on a terminal ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}], ids=["colour", "no colour"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_screen_is_another_one_and_goes_with_the_run(project: Path, encoding: str, environment: dict[str, str]) -> None:
    program = _program("ends", project, encoding, **environment)
    program.expect_exact(OTHER_SCREEN)
    program.expect_exact("It trains.")
    shown = program.before
    program.expect_exact(BACK)
    program.expect_exact("FAILED")
    program.expect(pexpect.EOF)
    program.close()

    assert program.exitstatus == 1
    if environment:
        assert "\x1b[36" not in shown
        assert "\x1b[1;36" not in shown


def test_interrupt_leaves_the_screen_and_the_run_alone(project: Path) -> None:
    program = _program("goes-on", project)
    program.expect_exact("It trains.")

    program.sendintr()

    program.expect_exact(BACK)
    program.expect_exact("Come back with: runctl watch r-1hx3k7pabcde")
    program.expect(pexpect.EOF)
    program.close()
    assert program.exitstatus == 130


def test_terminal_that_cannot_move_its_cursor_gets_lines(project: Path) -> None:
    program = _program("ends", project, TERM="dumb")

    program.expect_exact("changes are told line by line")
    program.expect(pexpect.EOF)
    program.close()

    assert program.exitstatus == 1
    assert OTHER_SCREEN not in (program.before or "")
