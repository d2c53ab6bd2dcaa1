"""`runctl config show | set | validate`."""

import tomllib
from pathlib import Path

import pytest

from runctl_cli.settings_template import TEMPLATE
from tests.cli.command_line import CommandLine


@pytest.fixture
def path(runctl: CommandLine) -> Path:
    """The configuration file that the commands find."""
    return runctl.folder / ".runctl.toml"


def _shown(runctl: CommandLine) -> dict[str, tuple[object, str]]:
    return {each["key"]: (each["value"], each["source"]) for each in runctl.json("config", "show").data["settings"]}


def test_show_says_where_each_setting_comes_from(
    runctl: CommandLine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text('[run]\nmax_runtime = "90m"\n[run.env]\nTOKEN = "hunter2"\n')
    monkeypatch.setenv("RUNCTL_TARGET", "aws")

    shown = _shown(runctl)

    assert shown["run.max_runtime"] == ("90m", "file")
    assert shown["run.purchase"] == ("on-demand", "default")
    assert shown["target"] == ("aws", "environment")
    assert shown["run.env"] == ({"TOKEN": "***"}, "file")
    assert "hunter2" not in runctl("config", "show").stdout


def test_show_tells_the_flags_own_value(runctl: CommandLine, path: Path) -> None:
    path.write_text('target = "local"\n')

    shown = runctl.json("--target", "aws", "config", "show").data["settings"]

    assert shown[0] == {"key": "target", "value": "aws", "source": "command line"}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("target", "aws", "aws"),
        ("run.max_runtime", "12h", "12h"),
        ("run.retries", "2", 2),
        ("run.verify_checkpoints", "true", True),
        ("run.instance_type", '["g5.xlarge", "g6.xlarge"]', ["g5.xlarge", "g6.xlarge"]),
        ("project.name", "2026", "2026"),
        ("run.env.WANDB_MODE", "offline", "offline"),
        ("confirm.above_usd", "7.5", 7.5),
    ],
)
def test_set_changes_one_line_and_leaves_the_rest(
    runctl: CommandLine, path: Path, key: str, value: str, expected: object
) -> None:
    path.write_text(TEMPLATE)

    answer = runctl("config", "set", key, value)

    assert answer.exit_code == 0, answer
    table = tomllib.loads(path.read_text())
    for part in key.split("."):
        table = table[part]
    assert table == expected
    changed = set(path.read_text().splitlines()) - set(TEMPLATE.splitlines())
    assert len(changed) == 1


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("run.max_runtim", "12h", "Did you mean run.max_runtime?"),
        ("run.max_runtime", "soon", "max_runtime"),
        ("run.retries", "-1", "retries"),
        ("nothing", "1", "There is no setting nothing"),
    ],
)
def test_set_refuses_what_would_not_be_valid_and_changes_nothing(
    runctl: CommandLine, path: Path, key: str, value: str, says: str
) -> None:
    path.write_text(TEMPLATE)

    answer = runctl("config", "set", "--", key, value)

    assert answer.exit_code == 2
    assert says in answer.stderr
    assert path.read_text() == TEMPLATE


def test_set_leaves_a_value_on_several_lines_to_a_person(runctl: CommandLine, path: Path) -> None:
    path.write_text('[sync]\nexclude = [\n  "data/",\n]\n')

    answer = runctl("config", "set", "sync.exclude", '["a"]')

    assert answer.exit_code == 2
    assert "more than one line" in answer.stderr


def test_set_makes_the_file_where_there_is_none(runctl: CommandLine, path: Path) -> None:
    path.unlink(missing_ok=True)

    answer = runctl("config", "set", "run.retries", "3")

    assert answer.exit_code == 0
    assert tomllib.loads(path.read_text()) == {"run": {"retries": 3}}


def test_validate_names_line_and_key(runctl: CommandLine, path: Path) -> None:
    path.write_text('[run]\n\nretries = "many"\n')

    answer = runctl.json("config", "validate")

    assert answer.exit_code == 2
    assert "line 3" in answer.error["message"]
    assert "run.retries" in answer.error["message"]


def test_validate_accepts_what_init_writes(runctl: CommandLine, path: Path) -> None:
    path.write_text(TEMPLATE)

    assert runctl.json("config", "validate").data == {"config_path": str(path)}
