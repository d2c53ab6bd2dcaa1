"""The look at an account before the first launch."""

import os
import time
from pathlib import Path

import pytest

from runctl.client.checks import Finding, Health
from runctl.model.run import PurchaseOption
from tests.cli.command_line import CommandLine

FINE = Finding(check="region", health=Health.OK, text="eu-central-1.")
BAD = Finding(check="spot quota t3.micro", health=Health.PROBLEM, text="0 vCPUs.", hint="Ask for more.")
WORSE = Finding(check="egress", health=Health.PROBLEM, text="No way out.", hint="Give it a route.")
HIDDEN = Finding(check="lambda", health=Health.UNKNOWN, text="It may not be looked at.")

TRAIN = ("train", "train.py", "--instance-type", "t3.micro", "--yes")


@pytest.fixture
def on_aws(runctl: CommandLine) -> CommandLine:
    """A project whose target is an account in which all is well."""
    (runctl.folder / ".runctl.toml").write_text('target = "aws"\n')
    runctl.wiring.of_checks.given = [FINE]
    return runctl


def looks(runctl: CommandLine) -> list[PurchaseOption]:
    return runctl.wiring.of_checks.options


def test_first_launch_looks_at_the_account_and_the_second_does_not(on_aws: CommandLine) -> None:
    first, second = on_aws(*TRAIN), on_aws(*TRAIN)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert looks(on_aws) == [PurchaseOption.ON_DEMAND]
    assert on_aws.wiring.of_checks.instance_types == ("t3.micro",)
    assert "Looking at the account" in first.stderr
    assert "Looking at the account" not in second.stderr


def test_problem_is_said_with_its_mend_and_nothing_is_launched(on_aws: CommandLine) -> None:
    on_aws.wiring.of_checks.given = [FINE, BAD, WORSE]

    answer = on_aws(*TRAIN)

    assert answer.exit_code == 4
    assert all(text in answer.stderr for text in ("0 vCPUs.", "Ask for more.", "No way out.", "Give it a route."))
    assert on_aws.deployment.made == 0


def test_problem_is_looked_at_again(on_aws: CommandLine) -> None:
    on_aws.wiring.of_checks.given = [BAD]
    on_aws(*TRAIN)
    on_aws.wiring.of_checks.given = [FINE]

    assert on_aws(*TRAIN).exit_code == 0
    assert len(looks(on_aws)) == 2


def test_problem_in_json_is_one_error(on_aws: CommandLine) -> None:
    on_aws.wiring.of_checks.given = [BAD]

    error = on_aws.json(*TRAIN).error

    assert error["code"] == "account_not_ready"
    assert "--no-doctor" in error["hint"]


def test_no_doctor_launches_all_the_same(on_aws: CommandLine) -> None:
    on_aws.wiring.of_checks.given = [BAD]

    assert on_aws(*TRAIN, "--no-doctor").exit_code == 0
    assert looks(on_aws) == []


def test_what_may_not_be_looked_at_is_in_nobodys_way(on_aws: CommandLine) -> None:
    on_aws.wiring.of_checks.given = [HIDDEN]

    assert on_aws(*TRAIN).exit_code == 0


@pytest.mark.parametrize("words", [("--spot",), ("--instance-type", "t3.medium")], ids=["paid otherwise", "more types"])
def test_other_machines_are_looked_at_again(on_aws: CommandLine, words: tuple[str, ...]) -> None:
    on_aws(*TRAIN)

    on_aws(*TRAIN, *words)

    assert len(looks(on_aws)) == 2


def test_look_of_yesterday_is_too_old(on_aws: CommandLine, tmp_path: Path) -> None:
    on_aws(*TRAIN)
    (note,) = (tmp_path / "cache" / "runctl" / "doctor").iterdir()
    yesterday = time.time() - 24 * 3_600 - 1
    os.utime(note, (yesterday, yesterday))

    on_aws(*TRAIN)

    assert len(looks(on_aws)) == 2


def test_local_target_is_not_looked_at(runctl: CommandLine) -> None:
    runctl.wiring.of_checks.given = [BAD]

    assert runctl(*TRAIN).exit_code == 0
    assert looks(runctl) == []
