"""`runctl init`, and that the file it writes says what holds."""

import re
from pathlib import Path
from typing import Any

from runctl_cli.settings import Settings
from runctl_cli.settings_file import load_configuration
from runctl_cli.settings_template import TEMPLATE
from tests.cli.command_line import CommandLine

SHOWN_THOUGH_NOT_DEFAULT = {
    "project.name",
    "run.gpus",
    "run.cpus",
    "run.memory",
    "run.disk_gib",
    "run.instance_profile",
    "run.output_dir",
    "run.image",
    "run.max_cost",
    "run.retry_exit_codes",
    "run.setup",
    "run.env",
    "run.secrets",
    "local.port",
    "aws.profile",
    "aws.region",
    "logs.dir",
}
"""Settings whose default is "none" or "found out"; the file shows an example of each."""


def _uncommented(path: Path) -> Path:
    path.write_text(re.sub(r"^# (\w+ = )", r"\1", TEMPLATE, flags=re.MULTILINE))
    return path


def _leaves(settings: Any, prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if hasattr(type(value), "model_fields"):
            leaves |= _leaves(value, f"{prefix}{name}.")
        else:
            leaves[f"{prefix}{name}"] = value
    return leaves


def test_written_file_changes_nothing_but_is_complete(tmp_path: Path) -> None:
    (tmp_path / "as-written.toml").write_text(TEMPLATE)
    written = load_configuration(tmp_path / "as-written.toml", target=None).settings
    shown = _leaves(load_configuration(_uncommented(tmp_path / "shown.toml"), target=None).settings)

    defaults = _leaves(Settings())
    assert _leaves(written) == defaults
    assert {name for name in defaults if shown[name] != defaults[name]} == SHOWN_THOUGH_NOT_DEFAULT
    for name in defaults:
        assert re.search(rf"^(# )?{name.rpartition('.')[2]} = |^\[{re.escape(name)}\]", TEMPLATE, re.MULTILINE), name


def test_init_writes_the_file_and_names_the_next_commands(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").unlink()

    answer = runctl("init")

    assert answer.exit_code == 0
    assert (project / ".runctl.toml").read_text() == TEMPLATE
    assert "runctl local up" in answer.stderr


def test_init_with_json_output_works(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").unlink()

    answer = runctl("--output", "json", "init")

    assert answer.exit_code == 0
    assert answer.data == {"config_path": ".runctl.toml"}


def test_init_does_not_overwrite(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text("target = 'aws'\n")

    answer = runctl.json("init")

    assert answer.exit_code == 2
    assert "--force" in answer.error["hint"]
    assert (project / ".runctl.toml").read_text() == "target = 'aws'\n"


def test_init_replaces_the_file_when_it_is_told_to_even_a_malformed_one(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text("][")

    assert runctl("init", "--force").exit_code == 0
    assert (project / ".runctl.toml").read_text() == TEMPLATE


def test_init_writes_where_it_is_told_to(runctl: CommandLine, project: Path) -> None:
    assert runctl("init", "--config-path", "new/place.toml").exit_code == 0
    assert (project / "new/place.toml").read_text() == TEMPLATE


def test_init_refuses_a_folder_and_a_place_that_cannot_be_written(runctl: CommandLine, project: Path) -> None:
    (project / "file").write_text("")

    folder = runctl.json("init", "--config-path", ".", "--force")
    below_a_file = runctl.json("init", "--config-path", "file/x.toml")

    assert (folder.exit_code, folder.error["code"]) == (2, "configuration")
    assert (below_a_file.exit_code, below_a_file.error["code"]) == (2, "configuration")
