"""Finding and reading `.runctl.toml`; what is wrong in it is told by line and key."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runctl.client.project import find_project_root
from runctl.errors import ConfigurationError
from runctl_cli.settings import Configuration, Settings, Target

CONFIG_NAME = ".runctl.toml"
TARGET_VARIABLE = "RUNCTL_TARGET"
_TOML_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


def load_configuration(config_path: Path | None, *, target: str | None) -> Configuration:
    """Read the configuration: the given file, or the nearest above the working folder, or the defaults.

    `target` (the flag) weighs more than `RUNCTL_TARGET`, and that more than the file. Raises ConfigurationError.
    """
    path = config_path if config_path is not None else _nearest_config(Path.cwd())
    if path is None:
        root = find_project_root(Path.cwd())
        settings = Settings()
    else:
        root = path.resolve().parent
        settings = configuration_of_text(path, _read(path))
    chosen = target or os.environ.get(TARGET_VARIABLE)
    if chosen is not None:
        if chosen not in {member.value for member in Target}:
            raise ConfigurationError(
                f"{TARGET_VARIABLE} is {chosen!r}; it may be aws or local.",
                hint=f"Correct it, or: unset {TARGET_VARIABLE}",
            )
        settings = settings.model_copy(update={"target": Target(chosen)})
    return Configuration(settings=settings, root=root, folder=root or Path.cwd(), path=path)


def configuration_of_text(path: Path, text: str) -> Settings:
    """Read the settings of a file's text; `path` is for the message. Raises ConfigurationError."""
    try:
        return Settings.model_validate(_parse(path, text))
    except ValidationError as error:
        raise _explained(path, text, error) from error


def _nearest_config(start: Path) -> Path | None:
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"There is no configuration file {path}.", hint="Write one with: runctl init"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.", hint="It must be a text file in UTF-8.") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _TOML_PLACE.search(message)
        line = int(place.group(1)) if place and place.group(1) else text.count("\n") + 1
        what = _TOML_PLACE.sub("", message)
        source = text.splitlines()[line - 1].strip() if line <= len(text.splitlines()) else ""
        key = source.partition("=")[0].strip()
        named = f", key {key!r}" if "=" in source and key else ""
        raise ConfigurationError(
            f"{path}, line {line}{named}: not valid TOML: {what}.",
            hint=f"The line reads: {source}" if source else "The file ends too early.",
        ) from error


_HINT_INIT = "See every setting with its default: runctl init --config-path example.toml"


def _explained(path: Path, text: str, error: ValidationError) -> ConfigurationError:
    """Name the line and the key of the first thing that is wrong, and the near name of a misspelt one."""
    first = error.errors(include_url=False)[0]
    keys = tuple(str(part) for part in first["loc"])
    named = [key for key in keys if not key.isdigit() and not key.startswith("function-")]
    what = first["msg"].removeprefix("Value error, ")
    hint = _HINT_INIT
    if first["type"] == "extra_forbidden":
        what = "there is no such setting"
        near = _near_setting(tuple(named))
        hint = f"Did you mean {near}? {_HINT_INIT}" if near else _HINT_INIT
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return ConfigurationError(
        f"{path}, line {line_of(text, tuple(named))}, key {'.'.join(named)!r}: {what}{more}.", hint=hint
    )


def _near_setting(keys: tuple[str, ...]) -> str | None:
    from difflib import get_close_matches

    fields: Any = Settings.model_fields
    for key in keys[:-1]:
        fields = getattr(fields[key].annotation, "model_fields", {})
    near = get_close_matches(keys[-1], list(fields), n=1)
    return near[0] if near else None


def line_of(text: str, keys: tuple[str, ...]) -> int:
    """Find a key's line by reading the file as people do: section headers, then `key =`. 1 when it is not there."""
    section: tuple[str, ...] = ()
    best = 1
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        header = re.match(r"\[+\s*([^\]]+?)\s*\]+", line)
        if header:
            section = _split_key(header.group(1))
            if section == keys[: len(section)]:
                best = number
            if section == keys:
                return number
            continue
        if "=" in line and not line.startswith("#"):
            path = section + _split_key(line.partition("=")[0])
            if path == keys[: len(path)]:
                return number
    return best


def _split_key(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.split("."))
