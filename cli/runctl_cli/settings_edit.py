"""Changing single settings in `.runctl.toml`: the lines, comments and order that a person wrote stay."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runctl.errors import ConfigurationError

Key = tuple[str, str]
"""Section (empty: before the first; dotted for one within another) and name."""


def changed_text(text: str, values: Mapping[Key, Any]) -> str:
    """Put values into a configuration's text; what has its value already stays as it is written."""
    lines = text.splitlines()
    present: dict[str, Any] = tomllib.loads(text)
    for (section, name), value in values.items():
        table = present
        for part in section.split(".") if section else ():
            table = table.get(part, {})
        if table.get(name) != value:
            _put(lines, section, name, value)
    return "\n".join(lines) + "\n"


def write_settings(path: Path, values: Mapping[Key, Any]) -> bool:
    """Change the file, or make it; False when it said all of it already. Raises ConfigurationError."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        new = changed_text(text, values)
        if new == text or tomllib.loads(new) == tomllib.loads(text):
            return False
        path.write_text(new, encoding="utf-8")
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be changed: {error}.", hint="Change target and [aws] in it by hand."
        ) from error
    return True


def _put(lines: list[str], section: str, name: str, value: Any) -> None:
    """Replace the setting's line, or the commented default, or add it where its section begins."""
    line = f"{name} = {json.dumps(value)}"
    begin, end = _bounds(lines, section)
    if begin is None:
        if lines and lines[-1].strip():
            lines.append("")
        lines += [f"[{section}]", line]
        return
    for pattern in (rf"\s*{name}\s*=", rf"\s*#\s*{name}\s*="):
        for index in range(begin, end):
            if re.match(pattern, lines[index]):
                lines[index] = line
                return
    lines.insert(begin, line)


def _bounds(lines: list[str], section: str) -> tuple[int | None, int]:
    """The lines of a section, without its header; the first is None when there is no such section."""
    headers = [(index, line.strip()) for index, line in enumerate(lines) if line.lstrip().startswith("[")]
    if not section:
        return 0, headers[0][0] if headers else len(lines)
    for position, (index, header) in enumerate(headers):
        if header.split("#")[0].strip() == f"[{section}]":
            end = headers[position + 1][0] if position + 1 < len(headers) else len(lines)
            return index + 1, end
    return None, len(lines)
