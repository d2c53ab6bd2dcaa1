"""`runctl deploy`: what is told, asked and written."""

import io
import sys
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from runctl.aws.change_sets import ChangeSet, ResourceChange
from runctl.client.checks import Finding, Health
from runctl.client.deploying import Choices
from runctl.errors import DeploymentFailed
from runctl_cli.settings_template import TEMPLATE
from tests.cli.command_line import CommandLine
from tests.cli.deployments import STACK_ID


class _Terminal(io.StringIO):
    """A terminal at which somebody has typed already."""

    def isatty(self) -> bool:
        return True


def _type(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", _Terminal(text))


def test_deploy_tells_target_changes_and_costs_before_it_begins(runctl: CommandLine) -> None:
    answer = runctl("--target", "aws", "deploy", "--yes")

    assert answer.exit_code == 0
    assert answer.stdout == f"{STACK_ID}\n"
    lines = answer.stderr.splitlines()
    assert lines[0] == "Target aws, account 123456789012, region eu-central-1."
    assert "To be created: 3 resources." in lines
    assert "    2  IAM::Role" in lines
    assert any("a month" in line for line in lines)
    assert "aws.amazon.com/cloudwatch/pricing" in answer.stderr
    assert "create_complete  Queue" in answer.stderr


def test_without_a_terminal_nothing_is_deployed(runctl: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))

    answer = runctl.json("deploy")

    deploying = runctl.wiring.of_deploying
    assert (answer.exit_code, answer.error["code"]) == (2, "declined")
    assert "--yes" in answer.error["hint"]
    assert (deploying.applied, deploying.discarded) == (0, 1)


@pytest.mark.parametrize("typed", ["n\n", "\n", ""], ids=["no", "nothing", "end of input"])
def test_a_no_leaves_nothing_behind(runctl: CommandLine, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    _type(monkeypatch, typed)

    answer = runctl("deploy")

    deploying = runctl.wiring.of_deploying
    assert answer.exit_code in {2, 130}
    assert (deploying.applied, deploying.discarded) == (0, 1)


def test_a_yes_deploys(runctl: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    _type(monkeypatch, "y\n")

    answer = runctl("deploy")

    assert (answer.exit_code, runctl.wiring.of_deploying.applied) == (0, 1)


def test_unchanged_stack_is_told_and_not_asked_about(runctl: CommandLine) -> None:
    runctl.wiring.of_deploying.change_set = None

    answer = runctl("deploy")

    assert answer.exit_code == 0
    assert "has not changed" in answer.stderr
    assert runctl.wiring.of_deploying.applied == 0
    assert runctl.json("deploy").data["changed"] is False


def test_update_names_what_changes_and_what_is_replaced(runctl: CommandLine) -> None:
    changes = (
        ResourceChange(
            action="Modify", logical_id="Table", resource_type="AWS::DynamoDB::Table", replacement="Conditional"
        ),
        ResourceChange(action="Remove", logical_id="Old", resource_type="AWS::SQS::Queue"),
    )
    runctl.wiring.of_deploying.change_set = ChangeSet(arn="a", stack_id="s", creates=False, changes=changes)

    answer = runctl("deploy", "--yes")

    assert "Modify, perhaps replaced: Table (AWS::DynamoDB::Table)" in answer.stderr
    assert "Remove: Old (AWS::SQS::Queue)" in answer.stderr


def test_failure_is_told_with_exit_code_4(runctl: CommandLine) -> None:
    runctl.wiring.of_deploying.failure = DeploymentFailed("Role (AWS::IAM::Role): not allowed.", hint="Ask.")

    answer = runctl.json("deploy", "--yes")

    assert (answer.exit_code, answer.error["code"]) == (4, "deployment_failed")
    assert answer.error["message"] == "Role (AWS::IAM::Role): not allowed."


def test_flags_become_choices(runctl: CommandLine) -> None:
    words = "--vpc vpc-1 --subnets subnet-1,subnet-2 --data-bucket images --data-bucket labels --dashboard"

    more = ("--machine-policy", "arn:p", "--notify", "me@example.org", "--aws-budget", "500")
    runctl("deploy", "--yes", *words.split(), *more)

    assert runctl.wiring.of_deploying.choices == [
        Choices(
            vpc_id="vpc-1",
            subnet_ids=("subnet-1", "subnet-2"),
            data_buckets=("images", "labels"),
            machine_policies=("arn:p",),
            has_dashboard=True,
            notify_email="me@example.org",
            aws_budget_usd=Decimal(500),
        )
    ]


def test_what_is_not_said_is_left_open_and_what_is_empty_is_taken_away(runctl: CommandLine) -> None:
    runctl("deploy", "--yes")
    runctl("deploy", "--yes", "--data-bucket", "", "--notify", "", "--no-dashboard")

    assert runctl.wiring.of_deploying.choices == [
        Choices(),
        Choices(data_buckets=(), notify_email="", has_dashboard=False),
    ]


def test_profile_and_region_weigh_more_than_the_configuration(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text('target = "aws"\n[aws]\nprofile = "old"\nregion = "us-east-1"\n')

    runctl("deploy", "--yes", "--profile", "research", "--region", "eu-central-1")

    aws = runctl.wiring.configurations[0].settings.aws
    assert (aws.profile, aws.region) == ("research", "eu-central-1")


def test_configuration_says_afterwards_where_was_deployed_and_keeps_its_comments(
    runctl: CommandLine, project: Path
) -> None:
    (project / ".runctl.toml").write_text(TEMPLATE)

    runctl("--target", "aws", "deploy", "--yes", "--profile", "research")

    text = (project / ".runctl.toml").read_text()
    settings = tomllib.loads(text)
    assert settings["target"] == "aws"
    assert settings["aws"] == {"region": "eu-central-1", "profile": "research"}
    assert [line for line in text.splitlines() if line.startswith("# ")] != []
    assert len(text.splitlines()) == len(TEMPLATE.splitlines())


def test_configuration_is_not_touched_by_a_no(
    runctl: CommandLine, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _type(monkeypatch, "y\nn\n")

    runctl("--target", "aws", "deploy")

    assert (project / ".runctl.toml").read_text() == 'target = "local"\n'


def test_local_deployment_writes_no_configuration(runctl: CommandLine, project: Path) -> None:
    runctl("deploy", "--yes", "--target", "local")

    assert (project / ".runctl.toml").read_text() == 'target = "local"\n'


def test_deploy_means_aws_though_a_new_configuration_says_local(runctl: CommandLine, project: Path) -> None:
    answer = runctl("deploy", "--yes")

    assert answer.stderr.startswith("Target aws, account 123456789012, region eu-central-1.")
    assert tomllib.loads((project / ".runctl.toml").read_text())["target"] == "aws"


@pytest.mark.parametrize("words", [["deploy", "--yes"], ["destroy"], ["doctor"]], ids=lambda words: words[0])
def test_account_and_the_local_target_exclude_each_other(runctl: CommandLine, words: list[str]) -> None:
    answer = runctl.json("--target", "local", *words, "--region", "eu-central-1")

    assert (answer.exit_code, answer.error["code"]) == (2, "usage")


@pytest.mark.parametrize("words", [["destroy", "--stack-name", "runctl"], ["doctor"]], ids=lambda words: words[0])
def test_who_names_a_region_means_aws_and_who_does_not_the_configured_target(
    runctl: CommandLine, words: list[str]
) -> None:
    runctl.wiring.of_checks.given = [Finding(check="region", health=Health.OK, text="Fine.")]

    runctl(*words)
    runctl(*words, "--region", "eu-central-1")

    assert [each.settings.target.value for each in runctl.wiring.configurations] == ["local", "aws"]


def test_interrupted_deployment_is_left_to_cloudformation(runctl: CommandLine) -> None:
    runctl.wiring.of_deploying.failure = KeyboardInterrupt()

    answer = runctl.json("deploy", "--yes")

    assert (answer.exit_code, answer.error["code"]) == (130, "interrupted")
    assert runctl.wiring.of_deploying.discarded == 0
