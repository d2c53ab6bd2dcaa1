"""Changing a configuration that a person wrote."""

import tomllib
from pathlib import Path

import pytest

from runctl.errors import ConfigurationError
from runctl_cli.settings_edit import Key, changed_text, write_settings
from runctl_cli.settings_template import TEMPLATE

VALUES: dict[Key, str] = {("", "target"): "aws", ("aws", "region"): "eu-central-1"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        'target = "local"\n',
        TEMPLATE,
        '[aws]\nregion = "us-east-1"\n\n[logs]\ndir = "logs"\n',
        'target="local" # here\n[aws]  # there\n# region = "x"\nprofile = "me"\n',
    ],
    ids=["empty", "short", "template", "sections", "comments"],
)
def test_values_are_put_in_and_everything_else_stays(text: str) -> None:
    before = tomllib.loads(text)

    after = tomllib.loads(changed_text(text, VALUES))

    expected = {**before, "target": "aws", "aws": {**before.get("aws", {}), "region": "eu-central-1"}}
    assert after == expected


def test_what_is_so_already_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / ".runctl.toml"

    first, second = write_settings(path, VALUES), write_settings(path, VALUES)

    assert (first, second) == (True, False)


def test_setting_of_the_same_name_in_another_section_is_left_alone() -> None:
    changed = changed_text('[project]\nname = "a"\n# region = "no"\n[aws]\n', VALUES)

    assert changed.splitlines()[-2:] == ["[aws]", 'region = "eu-central-1"']


def test_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / ".runctl.toml"
    path.write_text("target = \n")

    with pytest.raises(ConfigurationError, match="cannot be changed"):
        write_settings(path, VALUES)
