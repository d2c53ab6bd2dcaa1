"""`runctl destroy`: what it refuses, asks and says."""

import io
import sys

import pytest

from runctl.model.ids import InstanceId
from runctl.model.machine import MachineState, MachineView
from tests.cli.command_line import CommandLine
from tests.client.deployment import a_run

MACHINE = MachineView(instance_id=InstanceId("i-1"), state=MachineState.RUNNING, instance_type="t3.micro")


class _Terminal(io.StringIO):
    """A terminal at which somebody has typed already."""

    def isatty(self) -> bool:
        return True


def test_stack_is_deleted_when_its_name_is_typed(runctl: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", _Terminal("runctl\n"))

    answer = runctl("destroy")

    assert answer.exit_code == 0
    assert runctl.wiring.of_destroying.calls == ["destroy"]
    assert "aws s3 rb s3://runctl-data --force" in answer.stderr


@pytest.mark.parametrize("typed", ["y\n", "\n", "Runctl\n"], ids=["y", "nothing", "another case"])
def test_anything_but_the_name_deletes_nothing(
    runctl: CommandLine, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr(sys, "stdin", _Terminal(typed))

    answer = runctl("destroy", "--force")

    assert answer.exit_code == 2
    assert runctl.wiring.of_destroying.calls == []


def test_without_a_terminal_the_name_stands_in_the_option(runctl: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))

    unsaid, wrong = runctl.json("destroy"), runctl.json("destroy", "--stack-name", "other")
    named = runctl.json("destroy", "--stack-name", "runctl")

    assert (unsaid.exit_code, unsaid.error["code"]) == (2, "declined")
    assert "--stack-name runctl" in unsaid.error["hint"]
    assert wrong.exit_code == 2
    assert (named.exit_code, named.data["kept_bucket"]) == (0, "runctl-data")


def test_open_runs_and_machines_are_named_and_keep_the_stack(runctl: CommandLine) -> None:
    run = a_run()
    runctl.wiring.of_destroying.open_runs = (run,)
    runctl.wiring.of_destroying.machines = (MACHINE,)

    answer = runctl("destroy", "--stack-name", "runctl")

    assert answer.exit_code == 2
    assert run.run_id in answer.stderr
    assert "i-1" in answer.stderr
    assert "1 open run and 1 machine; nothing was deleted" in answer.stderr
    assert runctl.wiring.of_destroying.calls == []


def test_force_ends_runs_before_the_stack_goes(runctl: CommandLine) -> None:
    runctl.wiring.of_destroying.open_runs = (a_run(),)

    answer = runctl("destroy", "--force", "--stack-name", "runctl")

    assert answer.exit_code == 0
    assert runctl.wiring.of_destroying.calls == ["end_runs", "destroy"]


def test_emptied_bucket_is_named_before_and_counted_after(runctl: CommandLine) -> None:
    answer = runctl("destroy", "--empty-bucket", "--stack-name", "runctl")

    assert "all that was trained (runctl-data)" in answer.stderr
    assert "Deleted the bucket with 3 objects." in answer.stderr
