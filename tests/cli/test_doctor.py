"""`runctl doctor`: lines, exit codes, JSON."""

from pathlib import Path

import pytest

from runctl.client.checks import Finding, Health
from runctl.errors import CredentialsError
from tests.cli.command_line import CommandLine

FINE = Finding(check="region", health=Health.OK, text="eu-central-1.")
BAD = Finding(check="stack", health=Health.PROBLEM, text="There is none.", hint="Deploy it: runctl deploy")
HIDDEN = Finding(check="spot role", health=Health.UNKNOWN, text="It may not be looked at.", hint="Ask for iam:GetRole.")


def test_all_well_ends_with_0(runctl: CommandLine) -> None:
    runctl.wiring.of_checks.given = [FINE]

    answer = runctl("doctor")

    assert (answer.exit_code, answer.stdout) == (0, "ok       region  eu-central-1.\n")


@pytest.mark.parametrize("finding", [BAD, HIDDEN], ids=lambda finding: finding.health.value)
def test_anything_else_ends_with_4_and_says_how_to_mend_it(runctl: CommandLine, finding: Finding) -> None:
    runctl.wiring.of_checks.given = [FINE, finding]

    answer = runctl("doctor")

    assert answer.exit_code == 4
    assert finding.health.value in answer.stdout
    assert finding.hint in answer.stdout


def test_json_has_every_finding(runctl: CommandLine) -> None:
    runctl.wiring.of_checks.given = [FINE, BAD]

    answer = runctl.json("doctor")

    assert answer.exit_code == 4
    assert answer.data == {
        "healthy": False,
        "findings": [
            {"check": "region", "health": "ok", "text": "eu-central-1.", "hint": ""},
            {"check": "stack", "health": "problem", "text": "There is none.", "hint": "Deploy it: runctl deploy"},
        ],
    }


def test_missing_credentials_are_a_finding(runctl: CommandLine) -> None:
    runctl.wiring.refusal = CredentialsError("There are no AWS credentials.", hint="Log in.")

    answer = runctl.json("doctor")

    assert answer.exit_code == 4
    assert [(each["check"], each["health"]) for each in answer.data["findings"]] == [("credentials", "problem")]


def test_types_are_those_of_the_configuration_unless_they_are_named(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text('[run]\ninstance_type = ["g5.xlarge"]\n')
    runctl.wiring.of_checks.given = [FINE]

    runctl("doctor")
    configured = runctl.wiring.of_checks.instance_types
    runctl("doctor", "--instance-type", "p4d.24xlarge", "--instance-type", "t3.micro")

    assert configured == ("g5.xlarge",)
    assert runctl.wiring.of_checks.instance_types == ("p4d.24xlarge", "t3.micro")
