"""Parameter types: what people type becomes a value, or a sentence that says why not."""

from collections.abc import Callable
from typing import Any

import click

from runctl_cli.values import (
    parse_data,
    parse_duration,
    parse_exit_codes,
    parse_more_duration,
    parse_more_usd,
    parse_percentages,
    parse_ports,
    parse_usd,
)
from runctl_cli.variables import parse_flag, parse_secret


class _Parsed(click.ParamType[Any]):
    """A value that a function of runctl_cli.values reads."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the text; a default that is a value already stays as it is."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


DATA = _Parsed("data", parse_data)
DURATION = _Parsed("duration", parse_duration)
USD = _Parsed("usd", parse_usd)
PORTS = _Parsed("ports", parse_ports)
MORE_DURATION = _Parsed("[+]duration", parse_more_duration)
MORE_USD = _Parsed("[+]usd", parse_more_usd)
EXIT_CODES = _Parsed("codes", parse_exit_codes)
PERCENTAGES = _Parsed("percentages", parse_percentages)
VARIABLE = _Parsed("key=value", parse_flag)
SECRET = _Parsed("name=place", parse_secret)


def sync_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which files are sent."""
    for decorate in (
        click.option(
            "--exclude",
            multiple=True,
            metavar="PATTERN",
            help="What is not sent, in .gitignore's words; repeat for more.",
        ),
        click.option(
            "--include",
            multiple=True,
            metavar="PATTERN",
            help="What is sent although a .gitignore names it; repeat for more.",
        ),
    ):
        command = decorate(command)
    return command
