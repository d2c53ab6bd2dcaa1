"""Where words go: data to stdout, talk to stderr; in JSON one document, whatever happens."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import click

from runctl.errors import RunctlError

ENVELOPE_VERSION = 1


class OutputFormat(StrEnum):
    """How a command answers."""

    TEXT = "text"
    JSON = "json"


def print_envelope(command: str, *, ok: bool, data: Any, errors: Sequence[RunctlError] = ()) -> None:
    """Print the one JSON document of a command to stdout."""
    document = {
        "version": ENVELOPE_VERSION,
        "command": command,
        "ok": ok,
        "data": data,
        "errors": [
            {"code": error.code, "message": error.message, "hint": error.hint, "docs": error.docs} for error in errors
        ],
    }
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_trace(trace: str) -> None:
    """Show on stderr where an error comes from."""
    click.echo(trace, err=True, nl=False)


def print_failure(output: OutputFormat, command: str, errors: Sequence[RunctlError]) -> None:
    """Tell errors: sentence, hint and where to read more."""
    if output is OutputFormat.JSON:
        print_envelope(command, ok=False, data=None, errors=errors)
        return
    for error in errors:
        print_error(error)


def print_error(error: RunctlError) -> None:
    """Print one error to stderr."""
    click.echo(f"{click.style('Error:', fg='red', bold=True)} {error.message}", err=True)
    if error.hint:
        click.echo(f"{click.style('Hint:', fg='yellow')}  {error.hint}", err=True)
    click.echo(f"{click.style('Docs:', dim=True)}  {error.docs}", err=True)
