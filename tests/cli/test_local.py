"""`runctl local …`: what the cloud on this machine is asked for."""

from pathlib import Path

import pytest

from runctl.model.ids import AttemptNumber
from runctl.model.status import Reason, RunStatus
from tests.cli.command_line import CommandLine
from tests.client.deployment import NOW, a_run, an_attempt


def test_up_takes_port_and_boot_delay_from_the_configuration(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text('[local]\nport = 4510\nboot_delay = "40s"\n')

    answer = runctl("local", "up")

    assert runctl.cloud.calls == [("up", 4510, 40.0)]
    assert answer.stdout == "http://127.0.0.1:4566\n"
    assert "runctl local down" in answer.stderr


def test_flags_of_up_weigh_more(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text('[local]\nport = 4510\nboot_delay = "40s"\n')

    runctl("local", "up", "--port", "4600", "--boot-delay", "0s")

    assert runctl.cloud.calls == [("up", 4600, 0.0)]


def test_up_without_a_port_takes_a_free_one(runctl: CommandLine) -> None:
    answer = runctl.json("local", "up")

    assert runctl.cloud.calls == [("up", None, 0.0)]
    assert answer.data["endpoint_url"] == "http://127.0.0.1:4566"
    assert answer.data["started_at"] == "2025-11-24T16:00:00.000Z"


def test_rights_are_enforced_by_any_up_so_that_the_flag_changes_nothing(runctl: CommandLine) -> None:
    runctl("local", "up", "--enforce-iam")
    runctl("local", "up")

    assert runctl.cloud.calls == [("up", None, 0.0), ("up", None, 0.0)]


def test_down_says_whether_it_was_up(runctl: CommandLine) -> None:
    assert runctl.json("local", "down").data == {"was_up": True}


def test_status_of_a_cloud_that_is_down(runctl: CommandLine) -> None:
    runctl.cloud.is_up = False

    answer = runctl("local", "status")

    assert (answer.exit_code, answer.stdout) == (0, "down\n")
    assert "runctl local up" in answer.stderr


def test_env_prints_lines_that_a_shell_can_evaluate(runctl: CommandLine) -> None:
    assert runctl("local", "env").stdout == (
        "export AWS_ENDPOINT_URL=http://127.0.0.1:4566\nexport AWS_SECRET_ACCESS_KEY='it'\"'\"'s local'\n"
    )


def test_logs_prints_the_newest_lines(runctl: CommandLine) -> None:
    runctl.cloud.log_path.write_text("one\ntwo\nthree\n")

    assert runctl("local", "logs", "--lines", "2").stdout == "two\nthree\n"
    assert runctl.json("local", "logs", "--lines", "1").data["lines"] == ["three"]


def test_logs_before_the_first_up(runctl: CommandLine) -> None:
    answer = runctl.json("local", "logs")

    assert answer.exit_code == 3
    assert "runctl local up" in answer.error["hint"]


@pytest.mark.parametrize("target", ["local", "aws"])
def test_interrupt_of_a_run_takes_its_current_machine_whatever_the_target(
    runctl: CommandLine, project: Path, target: str
) -> None:
    (project / ".runctl.toml").write_text(f'target = "{target}"\n')
    first = an_attempt(number=1, ended_at=NOW, gone_at=NOW, reason=Reason.SPOT_INTERRUPTION)
    runctl.deployment.add(a_run(attempt=AttemptNumber(2)), first, an_attempt(number=2))

    answer = runctl.json("local", "interrupt", "last", "--notice", "10s")

    assert runctl.cloud.calls == [("interrupt", "i-00000000000000002", 10.0)]
    assert answer.data == {"instance_id": "i-00000000000000002", "notice_s": 10.0}


def test_interrupt_of_an_instance_asks_nothing_else(runctl: CommandLine) -> None:
    runctl("local", "interrupt", "i-0abc")

    assert runctl.cloud.calls == [("interrupt", "i-0abc", 120.0)]


@pytest.mark.parametrize("gone", [True, False])
def test_run_without_a_machine_cannot_be_interrupted(runctl: CommandLine, gone: bool) -> None:
    attempts = [an_attempt(ended_at=NOW, gone_at=NOW)] if gone else []
    run = runctl.deployment.add(a_run(status=RunStatus.SUCCEEDED, attempt=AttemptNumber(len(attempts))), *attempts)

    answer = runctl.json("local", "interrupt", run.run_id)

    assert answer.exit_code == 3
    assert "has no machine now; it is SUCCEEDED" in answer.error["message"]
    assert runctl.cloud.calls == []


def test_kill_ends_a_machine_and_may_do_so_silently(runctl: CommandLine) -> None:
    runctl("local", "kill", "i-0abc")
    runctl("local", "kill", "i-0abd", "--silent")

    assert runctl.cloud.calls == [("kill", "i-0abc", False), ("kill", "i-0abd", True)]


def test_no_capacity_empties_pools_for_a_while(runctl: CommandLine) -> None:
    runctl("local", "no-capacity", "m5.large", "g5.*/us-east-1a", "--for", "5m")

    assert runctl.cloud.calls == [("no_capacity", ["m5.large", "g5.*/us-east-1a"], 300.0)]
