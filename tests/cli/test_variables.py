"""`--env` and `--env-file`: what counts as a variable, and that no message shows a value."""

from pathlib import Path

import pytest

from runctl.errors import UsageError
from runctl_cli.variables import parse_flag, read_env_file
from tests.cli.command_line import CommandLine


def _environment(runctl: CommandLine) -> dict[str, str]:
    (run,) = runctl.deployment.runs.runs.values()
    return run.spec.environment


def test_variable_without_a_value_is_taken_from_this_shell() -> None:
    assert parse_flag("TOKEN", {"TOKEN": "a=b"}) == ("TOKEN", "a=b")


def test_variable_that_is_not_set_in_this_shell_is_an_error() -> None:
    with pytest.raises(ValueError, match="TOKEN is not set in this shell"):
        parse_flag("TOKEN", {})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("A=1", {"A": "1"}),
        ("  A = 1  ", {"A": "1"}),
        ("export A=1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=b=c", {"A": "b=c"}),
        ("A=one two # note", {"A": "one two"}),
        ("A=#nothing", {"A": ""}),
        ("A=b#c", {"A": "b#c"}),
        ("A='one # two' # note", {"A": "one # two"}),
        (r"A='\n$B'", {"A": r"\n$B"}),
        (r'A="one\ntwo \"three\" \\ \$B"', {"A": 'one\ntwo "three" \\ $B'}),
        ("# A=1", {}),
        ("", {}),
        ("A=1\nB=2\nA=3", {"A": "3", "B": "2"}),
        ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ],
)
def test_lines_of_a_file_are_read(tmp_path: Path, line: str, expected: dict[str, str]) -> None:
    (tmp_path / "x.env").write_text(line, encoding="utf-8", newline="")

    assert read_env_file(tmp_path / "x.env") == expected


@pytest.mark.parametrize(
    "bad", ["NOVALUE", "1A=hunter2", "A-B=hunter2", "A='hunter2", 'A="hunter2" x', "AWS_X=hunter2"]
)
def test_bad_line_is_named_by_its_number_and_its_value_is_not_shown(tmp_path: Path, bad: str) -> None:
    (tmp_path / "x.env").write_text(f"# first\nGOOD=1\n{bad}\n")

    with pytest.raises(UsageError) as caught:
        read_env_file(tmp_path / "x.env")

    assert f"Line 3 of {tmp_path / 'x.env'}" in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("content", [None, b"A=\xff\n"])
def test_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.env").write_bytes(content)

    with pytest.raises(UsageError, match="environment variables"):
        read_env_file(tmp_path / "x.env")


def test_flags_weigh_more_than_files_and_files_more_than_the_configuration(
    runctl: CommandLine, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".runctl.toml").write_text('[run.env]\nA = "toml"\nB = "toml"\nC = "toml"\nD = "toml"\n')
    (project / "one.env").write_text("B=one\nC=one\nD=one\n")
    (project / "two.env").write_text("C=two\nD=two\n")
    monkeypatch.setenv("D", "shell")

    runctl("train", "train.py", "--env-file", "one.env", "--env-file", "two.env", "--env", "D")

    assert _environment(runctl) == {"A": "toml", "B": "one", "C": "two", "D": "shell"}


def test_values_are_shown_nowhere(runctl: CommandLine, project: Path) -> None:
    (project / "x.env").write_text("FILED=hunter2\n")

    answer = runctl.json("train", "train.py", "--env-file", "x.env", "--env", "TYPED=hunter2")

    (run,) = runctl.deployment.runs.runs.values()
    assert answer.data["spec"]["environment"] == {"FILED": "***", "TYPED": "***"}
    assert "hunter2" not in answer.stdout + answer.stderr
    assert "hunter2" not in str(runctl.deployment.runs.events(run.run_id))
    assert "hunter2" not in str(runctl.deployment.executions.started)


def test_variable_that_cannot_be_read_does_not_show_its_value(runctl: CommandLine) -> None:
    answer = runctl.json("train", "train.py", "--env", "not-a-name=hunter2")

    assert answer.exit_code == 2
    assert "hunter2" not in answer.stdout + answer.stderr


def test_secrets_are_kept_as_places(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text('[run.secrets]\nA = "ssm:/toml"\nB = "ssm:/toml"\n')

    runctl("train", "train.py", "--secret", "B=secretsmanager:runctl/b", "--secret", "C=ssm:/runctl/secrets/c")

    (run,) = runctl.deployment.runs.runs.values()
    assert run.spec.secrets == {"A": "ssm:/toml", "B": "secretsmanager:runctl/b", "C": "ssm:/runctl/secrets/c"}
    assert run.spec.environment == {}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--secret", "TOKEN=hunter2"], "TOKEN needs a place"),
        (["--secret", "TOKEN=ssm:hunter2"], "TOKEN needs a place"),
        (["--secret", "TOKEN=ssm:/a hunter2"], "secrets.TOKEN"),
        (["--secret", "TOKEN=ssm:/a", "--env", "TOKEN=hunter2"], "both as a variable and as a secret"),
    ],
)
def test_secret_that_is_no_place_is_refused_and_not_shown(runctl: CommandLine, words: list[str], told: str) -> None:
    answer = runctl.json("train", "train.py", *words)

    assert answer.exit_code == 2
    assert told in answer.error["message"]
    assert "hunter2" not in answer.stdout + answer.stderr
    assert runctl.deployment.made == 0
