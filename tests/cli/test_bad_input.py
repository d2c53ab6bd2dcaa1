"""Each mistake that a person can make: a sentence, a hint, an exit code, and nothing half made."""

from decimal import Decimal
from pathlib import Path

import pytest

from runctl.local.errors import LocalCloudDown
from runctl.model.status import RunStatus
from runctl_cli.main import main
from tests.cli.command_line import Answer, CommandLine
from tests.client.deployment import a_run
from tests.factories import make_spec


def _is_refused(runctl: CommandLine, answer: Answer, code: str, exit_code: int, *words: str) -> None:
    """Check the whole contract of an error."""
    assert answer.exit_code == exit_code
    assert answer.document["ok"] is False
    assert answer.data is None
    error = answer.error
    assert error["code"] == code
    assert error["message"].endswith(".")
    assert error["hint"]
    assert error["docs"] == f"docs/errors.md#{code}"
    for word in words:
        assert word in error["message"] + error["hint"]
    assert runctl.deployment.made == 0


def test_missing_script(runctl: CommandLine) -> None:
    _is_refused(runctl, runctl.json("train", "trian.py"), "invalid_spec", 2, "no script trian.py", "train.py")


def test_script_outside_the_project(runctl: CommandLine, project: Path) -> None:
    (project.parent / "other.py").write_text("print(1)\n")

    _is_refused(runctl, runctl.json("train", "../other.py"), "invalid_spec", 2, "outside the project")


def test_folder_instead_of_a_script(runctl: CommandLine, project: Path) -> None:
    (project / "models").mkdir()

    _is_refused(runctl, runctl.json("train", "models"), "invalid_spec", 2, "folder")


def test_unknown_instance_type(runctl: CommandLine) -> None:
    answer = runctl.json("train", "train.py", "--instance-type", "t3.mikro")

    _is_refused(runctl, answer, "invalid_spec", 2, "t3.mikro", "us-east-1")


def test_empty_project(runctl: CommandLine, project: Path) -> None:
    (project / "train.py").unlink()

    _is_refused(runctl, runctl.json("train", "train.py"), "invalid_spec", 2, "is empty")


def test_project_of_which_nothing_is_left(runctl: CommandLine, project: Path) -> None:
    (project / ".gitignore").write_text("*\n")

    _is_refused(runctl, runctl.json("train", "train.py"), "invalid_spec", 2, "is empty", ".gitignore")


def test_ignored_script(runctl: CommandLine, project: Path) -> None:
    (project / ".gitignore").write_text("train.py\n")

    _is_refused(runctl, runctl.json("train", "train.py"), "invalid_spec", 2, "train.py is ignored")


def test_too_large_project(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text("[sync]\nmax_mb = 1\n")
    (project / "weights.bin").write_bytes(b"0" * 1_200_000)

    _is_refused(runctl, runctl.json("train", "train.py"), "invalid_spec", 2, "weights.bin (1.2 MB)")


def test_local_target_that_is_not_up(runctl: CommandLine) -> None:
    runctl.wiring.refusal = LocalCloudDown("The local target is not up.", hint="Start it with `runctl local up`.")

    _is_refused(runctl, runctl.json("train", "train.py"), "local_cloud_down", 2, "runctl local up")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('target = "locl"\n', ("line 1", "'target'")),
        ('[run]\n\nmax_runtime = "24x"\n', ("line 3", "'run.max_runtime'", "24x")),
        ("[run]\nretries = -1\n", ("line 2", "'run.retries'")),
        ('[run]\nmax_runtim = "2h"\n', ("line 2", "'run.max_runtim'", "max_runtime")),
        ("[rum]\nretries = 1\n", ("line 1", "'rum'", "run")),
        ("[run]\nretries = \n", ("line 2", "'retries'", "TOML")),
        ("[run]\nretries = 1\nretries = 2\n", ("line 3", "TOML")),
        ('[run.env]\nAWS_REGION = "x"\n', ("line 1", "AWS_REGION")),
        ("[confirm]\nabove_usd = -5\n", ("line 2", "'confirm.above_usd'")),
        ("[local]\nport = 70000\n", ("line 2", "'local.port'")),
    ],
)
def test_malformed_configuration_is_told_by_line_and_key(
    runctl: CommandLine, project: Path, text: str, words: tuple[str, ...]
) -> None:
    (project / ".runctl.toml").write_text(text)

    _is_refused(runctl, runctl.json("train", "train.py"), "configuration", 2, ".runctl.toml", *words)


def test_configuration_file_that_is_not_there(runctl: CommandLine) -> None:
    _is_refused(runctl, runctl.json("--config", "no.toml", "ps"), "configuration", 2, "no.toml", "runctl init")


def test_configuration_that_is_not_text(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_bytes(b"\xff\xfe\x00")

    _is_refused(runctl, runctl.json("ps"), "configuration", 2, "UTF-8")


def test_unknown_target_in_the_environment(runctl: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNCTL_TARGET", "azure")

    _is_refused(runctl, runctl.json("ps"), "configuration", 2, "azure", "aws or local")


@pytest.mark.parametrize("verb", ["status", "logs", "events", "cancel"])
@pytest.mark.parametrize("name", ["r-000000000000", "r-zz", "last", "no such run", ""])
def test_unknown_run(runctl: CommandLine, verb: str, name: str) -> None:
    _is_refused(runctl, runctl.json(verb, name), "not_found", 3)


def test_unknown_command_suggests_the_near_one(runctl: CommandLine) -> None:
    _is_refused(runctl, runctl.json("trian"), "usage", 2, "trian", "Did you mean train?")


def test_unknown_command_of_a_group_suggests_the_near_one(runctl: CommandLine) -> None:
    _is_refused(runctl, runctl.json("local", "dwon"), "usage", 2, "Did you mean down?", "runctl local --help")


def test_unknown_flag_suggests_the_near_one(runctl: CommandLine) -> None:
    _is_refused(runctl, runctl.json("train", "train.py", "--instance-typ", "x"), "usage", 2, "--instance-type")


def test_flag_of_the_script_is_sent_behind_the_dashes(runctl: CommandLine) -> None:
    answer = runctl.json("train", "train.py", "--epochs", "3")

    _is_refused(runctl, answer, "usage", 2, "runctl train SCRIPT -- --epochs")
    assert "Did you mean" not in answer.error["hint"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--max-runtime", "long"], "'long' is not a duration"),
        (["--max-runtime", "10s"], "max_runtime"),
        (["--max-runtime", "60d"], "max_runtime"),
        (["--max-cost", "-1"], "--max-cost"),
        (["--max-cost", "0"], "max_cost"),
        (["--max-cost", "much"], "'much' is not an amount"),
        (["--max-cost", "NaN"], "'NaN' is not an amount"),
        (["--capacity-timeout", "8d"], "capacity_timeout"),
        (["--retries", "-1"], "--retries"),
        (["--disk", "7"], "--disk"),
        (["--disk", "20000"], "--disk"),
        (["--retries", "many"], "--retries"),
        (["--env", "NO VALUE"], "KEY=VALUE"),
        (["--env", "RUNCTL"], "RUNCTL is not set in this shell"),
        (["--env", "AWS_REGION=x"], "AWS_REGION is set by the machine itself"),
        (["--env", "RUNCTL_RUN_ID=x"], "RUNCTL_RUN_ID is set by the machine itself"),
        (["--name", "n" * 65], "name"),
        (["--script-args", "'open"], "cannot be split"),
    ],
)
def test_impossible_value_of_a_flag(runctl: CommandLine, words: list[str], told: str) -> None:
    answer = runctl.json("train", "train.py", *words)

    assert answer.exit_code == 2
    assert told in answer.error["message"]
    assert answer.error["hint"]
    assert runctl.deployment.made == 0


def test_arguments_given_twice(runctl: CommandLine) -> None:
    answer = runctl.json("train", "train.py", "--script-args", "--fast", "--", "--slow")

    _is_refused(runctl, answer, "usage", 2, "twice")


def test_missing_argument_names_the_command_whose_help_to_read(runctl: CommandLine) -> None:
    _is_refused(runctl, runctl.json("status"), "usage", 2, "RUN", "runctl status --help")


def test_aws_without_credentials(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(project / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    exit_code = main(["--target", "aws", "train", "train.py", "--instance-type", "t3.micro"])

    told = capsys.readouterr()
    assert exit_code == 2
    assert told.out == ""
    assert "There are no AWS credentials." in told.err
    assert "docs/errors.md#credentials" in told.err


def test_aws_profile_that_does_not_exist(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(project / "none"))
    (project / ".runctl.toml").write_text('target = "aws"\n[aws]\nprofile = "nobody"\n')

    exit_code = main(["ps"])

    assert exit_code == 2
    assert "nobody" in capsys.readouterr().err


def test_real_local_cloud_that_is_not_up(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = main(["train", "train.py"])

    told = capsys.readouterr()
    assert exit_code == 2
    assert "runctl local up" in told.err
    assert not (project / ".runctl").exists()


@pytest.mark.parametrize("amount", ["-1", "much", "NaN", "1e12", "5 EUR", "\u20ac5", ""])
@pytest.mark.parametrize("verb", [("train", "train.py"), ("estimate",), ("extend", "last")])
def test_an_amount_that_is_none_is_refused_wherever_it_is_given(
    runctl: CommandLine, verb: tuple[str, ...], amount: str
) -> None:
    runctl.deployment.add(a_run(status=RunStatus.RUNNING, spec=make_spec(max_cost_usd=Decimal(10))))

    answer = runctl.json(*verb, "--max-cost", amount)

    assert answer.exit_code == 2
    assert answer.error["message"]
    assert answer.error["hint"]
    assert runctl.deployment.stopper.commands == []
    assert len(runctl.deployment.runs.runs) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "by what"),
        (("--max-cost", "0"), "no money at all"),
        (("--max-cost", "+0"), "no money at all"),
        (("--max-cost", "+-5"), "not an amount"),
        (("--max-cost", "++5"), "not an amount"),
        (("--max-cost", "+5 CHF"), "another currency"),
        (("--max-cost", "9"), "would be less"),
        (("--max-cost", "+1000000000"), "more than any run may cost"),
        (("--max-runtime", "+0h"), "no time at all"),
        (("--max-runtime", "+long"), "not a duration"),
        (("--max-runtime", "1h"), "would be less"),
        (("--max-runtime", "+31d"), "more than the"),
    ],
)
def test_an_extension_that_makes_no_sense_is_refused(runctl: CommandLine, words: tuple[str, ...], told: str) -> None:
    runctl.deployment.add(a_run(status=RunStatus.RUNNING, spec=make_spec(max_cost_usd=Decimal(10))))

    answer = runctl.json("extend", "last", *words)

    assert answer.exit_code == 2
    assert told in answer.error["message"]
    assert runctl.deployment.stopper.commands == []
