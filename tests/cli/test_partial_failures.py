"""What was done in part: what exists, what it costs, how to go on, how to undo."""

from datetime import UTC, datetime

import pytest

from runctl.errors import AwsUnavailable
from runctl.model.run import Run
from runctl.model.status import Reason, RunStatus
from tests.cli.command_line import CommandLine


def keep_machines(runctl: CommandLine, count: int) -> None:
    for number in range(count):
        runctl.deployment.machines.add(f"i-{number:017x}", launched_at=datetime.now(UTC))


@pytest.mark.parametrize("why", ["limit", "capacity"])
def test_three_of_five_machines_are_told_with_their_cost_when_the_fourth_is_refused(
    runctl: CommandLine, why: str
) -> None:
    keep_machines(runctl, 3)
    if why == "limit":
        runctl("config", "set", "machines.most", "3")
    ended = {"status": RunStatus.FAILED, "reason": Reason.CAPACITY, "message": "No machines."}

    def refuse(run: Run) -> None:
        runctl.deployment.add(run.model_copy(update=ended))

    runctl.deployment.runs.on_create = refuse

    answer = runctl("aws", "create", "t3.micro", "--wait")

    assert answer.exit_code == 4
    assert "What is there stays: 3 machines: $" in answer.stderr
    assert " an hour." in answer.stderr
    for command in ("resources cost", "aws create t3.micro --wait", "aws terminate INSTANCE", "resources stop-all"):
        assert f"  runctl {command}" in answer.stderr


def test_first_machine_that_is_refused_leaves_nothing_and_says_so(runctl: CommandLine) -> None:
    ended = {"status": RunStatus.FAILED, "reason": Reason.CAPACITY, "message": "No machines."}
    runctl.deployment.runs.on_create = lambda run: runctl.deployment.add(run.model_copy(update=ended))

    answer = runctl("aws", "create", "t3.micro", "--wait")

    assert answer.exit_code == 4
    assert "No machine is there, and none costs anything." in answer.stderr


def test_creation_that_failed_names_its_events_for_it_printed_nothing(runctl: CommandLine) -> None:
    ended = {"status": RunStatus.FAILED, "reason": Reason.CAPACITY, "message": "No machines."}
    runctl.deployment.runs.on_create = lambda run: runctl.deployment.add(run.model_copy(update=ended))

    error = runctl.json("aws", "create", "t3.micro", "--wait").error

    (run,) = runctl.deployment.runs.runs.values()
    assert error["hint"] == f"See what was tried with: runctl events {run.run_id}"


def test_sync_that_broke_off_says_that_nothing_costs_and_goes_on_where_it_was(runctl: CommandLine) -> None:
    runctl.deployment.code.refusal = AwsUnavailable("S3 did not answer.", hint="Try again.")

    broken = runctl.json("train", "train.py")
    runctl.deployment.code.refusal = None
    again = runctl("train", "train.py")

    assert broken.error["hint"].startswith("Try again. Nothing was launched, and nothing goes on costing.")
    assert "not sent again: give the command once more" in broken.error["hint"]
    assert "nothing to undo" in broken.error["hint"]
    assert again.exit_code == 0
    assert len(runctl.deployment.runs.runs) == 1
