"""Environment variables of a training as people give them: one a flag, or a file of them. No message shows a value."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runctl.errors import UsageError
from runctl_cli.values import parse_variable

_LINE: Final = re.compile(r"(?:export\s+)?(?P<name>[^\s=]+)\s*=\s*(?P<rest>.*)")
_SINGLE: Final = re.compile(r"'(?P<value>[^']*)'\s*(?:#.*)?")
_DOUBLE: Final = re.compile(r'"(?P<value>(?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_ESCAPED: Final = re.compile(r"\\(.)")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


def parse_flag(text: str, shell: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Read `KEY=VALUE`, or `KEY`: the value it has in this shell. Raises ValueError with a sentence."""
    if "=" in text:
        return parse_variable(text)
    name, _ = parse_variable(f"{text}=")
    value = (os.environ if shell is None else shell).get(name)
    if value is None:
        raise ValueError(f"{name} is not set in this shell; write {name}=VALUE, or export it first")
    return name, value


def parse_secret(text: str) -> tuple[str, str]:
    """Read `NAME=PLACE`. Raises ValueError with a sentence, which does not show what may be the secret itself."""
    name, place = parse_variable(text)
    if not place.startswith(("ssm:/", "secretsmanager:")):
        raise ValueError(
            f"{name} needs a place, not a value; write {name}=ssm:/PATH or {name}=secretsmanager:NAME-OR-ARN"
        )
    return name, place


def read_env_file(path: Path) -> dict[str, str]:
    """Read a file of `KEY=VALUE` lines. Raises UsageError that names the line which cannot be read.

    Empty lines and lines that begin with # are passed over, as is `export` before a name. In double quotes \\n, \\r
    and \\t are what they are in a string; in single quotes everything stands for itself; without quotes the value ends
    before ` #`. A value is one line, and variables in it are not replaced.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise UsageError(
            f"The file {path} of environment variables cannot be read: {error.strerror or error}.",
            hint="Check the path: --env-file FILE",
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"The file {path} of environment variables is not text in UTF-8.", hint="Save it as UTF-8."
        ) from error
    variables: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            name, value = _parse_line(text)
        except ValueError as error:
            raise UsageError(
                f"Line {number} of {path}: {error}.", hint="Each line is KEY=VALUE, or a comment that begins with #."
            ) from error
        variables[name] = value
    return variables


def _parse_line(text: str) -> tuple[str, str]:
    found = _LINE.fullmatch(text)
    if found is None:
        raise ValueError("not an environment variable; write KEY=VALUE")
    name, _ = parse_variable(f"{found['name']}=")
    return name, _value(found["rest"])


def _value(text: str) -> str:
    quoted = {"'": _SINGLE, '"': _DOUBLE}.get(text[:1])
    if quoted is None:
        return _COMMENT.sub("", text).rstrip()
    found = quoted.fullmatch(text)
    if found is None:
        raise ValueError("the quote is not closed, or something follows it")
    if text[0] == "'":
        return found["value"]
    return _ESCAPED.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), found["value"])
