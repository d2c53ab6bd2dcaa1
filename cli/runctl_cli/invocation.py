"""One call of the command line: its global options, what it reaches, and how it answers."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runctl.errors import RunctlError
from runctl_cli.byte_progress import ByteProgress
from runctl_cli.output import OutputFormat, print_envelope, print_error
from runctl_cli.ports import ClientPort, LocalCloudPort
from runctl_cli.wiring import Wiring

if TYPE_CHECKING:
    from runctl_cli.settings import Configuration


@dataclass
class Invocation:
    """What every command is given: `@click.pass_obj`."""

    wiring: Wiring
    output: OutputFormat = OutputFormat.TEXT
    config_path: Path | None = None
    target: str | None = None
    verbose: bool = False
    quiet: bool = False
    debug: bool = False
    command: str = ""
    exit_code: int = field(default=0, init=False)

    @cached_property
    def configuration(self) -> "Configuration":
        """The configuration: the file's, with what the environment and the command line say put over it."""
        from runctl_cli.settings_file import load_configuration

        return load_configuration(self.config_path, target=self.target)

    @cached_property
    def client(self) -> ClientPort:
        """The client of the target's deployment."""
        return self.wiring.client(self.configuration)

    @cached_property
    def local_client(self) -> ClientPort:
        """The client of the local cloud, whatever the target is."""
        from runctl_cli.settings import Target

        configuration = self.configuration
        settings = configuration.settings.model_copy(update={"target": Target.LOCAL})
        return self.wiring.client(replace(configuration, settings=settings))

    @cached_property
    def local_cloud(self) -> LocalCloudPort:
        """The local target of this project."""
        return self.wiring.local_cloud(self.configuration)

    def say(self, text: str = "") -> None:
        """Talk: progress and advice, to stderr; nothing when quiet."""
        if not self.quiet:
            click.echo(text, err=True)

    def progress(self, what: str) -> ByteProgress:
        """Show how far a transfer is, on stderr; nothing when quiet."""
        return ByteProgress(what, None if self.quiet else sys.stderr)

    def say_next(self, *lines: tuple[str, str]) -> None:
        """End a success with the commands that are useful now: (command, what it does)."""
        width = max(len(command) for command, _ in lines)
        self.say()
        self.say(click.style("Next:", bold=True))
        for command, purpose in lines:
            self.say(f"  {command:<{width}}  {click.style(purpose, dim=True)}")

    def answer(
        self,
        data: Any,
        text: Callable[[], None] | None = None,
        *,
        errors: tuple[RunctlError, ...] = (),
        exit_code: int = 0,
    ) -> None:
        """Give the command's answer: `data` in the envelope, or what `text` prints; and the exit code to end with.

        `errors` are those of the thing asked about (a training that failed), not of the command.
        """
        self.exit_code = exit_code
        if self.output is OutputFormat.JSON:
            print_envelope(self.command, ok=not errors, data=data, errors=errors)
            return
        if text is not None:
            text()
        for error in errors:
            print_error(error)
