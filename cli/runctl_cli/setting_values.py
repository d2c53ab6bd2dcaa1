"""Single settings by their dotted names: what they are and where they come from, and what a new value may be."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, cast

from pydantic import BaseModel

from runctl.errors import ConfigurationError, UsageError
from runctl_cli.settings import Configuration, Settings
from runctl_cli.settings_edit import Key, changed_text
from runctl_cli.settings_file import TARGET_VARIABLE, configuration_of_text
from runctl_cli.values import duration_setting

_HIDDEN: Final = "***"


class Source(StrEnum):
    """Where a setting's value comes from."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    COMMAND_LINE = "command line"


@dataclass(frozen=True)
class Setting:
    """A setting as it holds now."""

    key: str
    value: Any
    """As JSON has it; durations as `24h`, money as text."""
    source: Source

    @property
    def text(self) -> str:
        """For people."""
        if self.value is None:
            return "-"
        return self.value if isinstance(self.value, str) else json.dumps(self.value)


def known_settings(configuration: Configuration) -> tuple[Setting, ...]:
    """List every setting, in the order of the file that `init` writes."""
    given = _given(configuration.path)
    return tuple(
        Setting(".".join(path), _plain(path, value), _source(path, value, given))
        for path, value in _walk(configuration.settings, ())
    )


def checked_change(path: Path, key: str, value: str) -> tuple[Key, Any]:
    """Read a new value for a setting, and check the file as it would be. Raises UsageError, ConfigurationError."""
    section, _, name = key.rpartition(".")
    fields = [".".join(each) for each, _ in _walk(Settings(), ())]
    if key not in fields and section not in ("run.env", "run.secrets"):
        near = get_close_matches(key, fields, n=1)
        hint = f"Did you mean {' or '.join(near)}?" if near else "See them with: runctl config show"
        raise UsageError(f"There is no setting {key}.", hint=hint)
    typed = _typed(value)
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    configuration_of_text(path, text)
    try:
        _check(path, text, (section, name), typed)
    except ConfigurationError:
        if isinstance(typed, str):
            raise
        # A number or `true` may be meant as text: a project may be called 2026.
        typed = value
        _check(path, text, (section, name), typed)
    return (section, name), typed


def _check(path: Path, text: str, place: Key, typed: Any) -> None:
    changed = changed_text(text, {place: typed})
    try:
        tomllib.loads(changed)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"{'.'.join(place).strip('.')} stands on more than one line of {path}.", hint="Change it there by hand."
        ) from error
    configuration_of_text(path, changed)


def _typed(value: str) -> Any:
    """What the text is in TOML, where that is a number, a truth or a list; else the text itself."""
    try:
        typed = tomllib.loads(f"value = {value}")["value"]
        json.dumps(typed)
    except (tomllib.TOMLDecodeError, TypeError):
        return value
    return value if isinstance(typed, dict) else typed


def _given(path: Path | None) -> Mapping[str, Any]:
    return {} if path is None else tomllib.loads(path.read_text(encoding="utf-8"))


def _walk(section: BaseModel, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _walk(value, (*above, name))
        else:
            yield (*above, name), value


def _source(path: tuple[str, ...], value: Any, given: Mapping[str, Any]) -> Source:
    table: Any = given
    for name in path:
        if not isinstance(table, Mapping) or name not in table:
            table = None
            break
        table = cast("Mapping[str, Any]", table)[name]
    if path == ("target",) and value != (table or "local"):
        return Source.ENVIRONMENT if os.environ.get(TARGET_VARIABLE) == value else Source.COMMAND_LINE
    return Source.DEFAULT if table is None else Source.FILE


def _plain(path: tuple[str, ...], value: Any) -> Any:
    if path == ("run", "env"):
        return dict.fromkeys(value, _HIDDEN)
    if isinstance(value, timedelta):
        return duration_setting(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, tuple | list):
        return [str(each) for each in cast("tuple[Any, ...]", value)]
    if isinstance(value, dict):
        return {str(name): str(each) for name, each in cast("dict[Any, Any]", value).items()}
    return str(value)
