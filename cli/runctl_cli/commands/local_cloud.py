"""`runctl local up | down | status | env | logs`."""

import dataclasses
import shlex
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runctl.errors import NotFoundError
from runctl_cli.invocation import Invocation
from runctl_cli.parameters import DURATION
from runctl_cli.root import Verb

if TYPE_CHECKING:
    from runctl.local.cloud import CloudStatus

_LOOK_S = 0.5


@click.command(cls=Verb, epilog="\b\nExamples:\n  runctl local up\n  runctl local up --port 4566 --boot-delay 40s")
@click.option("--port", type=click.IntRange(1, 65_535), metavar="PORT", help="Where it listens.  [default: a free one]")
@click.option("--boot-delay", type=DURATION, metavar="DURATION", help="How long its machines boot.  [default: 0s]")
@click.option("--enforce-iam", is_flag=True, expose_value=False, help="Nothing to choose: rights are always enforced.")
@click.pass_obj
def up(invocation: Invocation, port: int | None, boot_delay: timedelta | None) -> None:
    """Start it and deploy the stack; a second time changes nothing."""
    settings = invocation.configuration.settings.local
    delay = settings.boot_delay if boot_delay is None else boot_delay
    status = invocation.local_cloud.up(
        port=port or settings.port or None, boot_delay_s=delay.total_seconds(), say=invocation.say
    )

    def text() -> None:
        click.echo(status.endpoint_url)
        invocation.say_next(
            ("runctl train SCRIPT --spot --wait", "train on a machine of its own"),
            ('eval "$(runctl local env)"', "reach it with the AWS CLI and SDKs"),
            ("runctl local down", "end it"),
        )

    invocation.answer(_document(status), text)


@click.command(cls=Verb, epilog="\b\nExamples:\n  runctl local down")
@click.pass_obj
def down(invocation: Invocation) -> None:
    """End it, with its machines and its runs."""
    was_up = invocation.local_cloud.down(say=invocation.say)
    invocation.answer({"was_up": was_up})


@click.command(cls=Verb, epilog="\b\nExamples:\n  runctl local status")
@click.pass_obj
def status(invocation: Invocation) -> None:
    """Say whether it is up, and where."""
    found = invocation.local_cloud.status()

    def text() -> None:
        if not found.is_up:
            click.echo("down")
            invocation.say_next(("runctl local up", "start it"))
            return
        click.echo(f"up at {found.endpoint_url} (process {found.pid})")
        click.echo(f"stack {found.stack_status or 'not deployed'}")
        if found.resident_mib is not None:
            click.echo(f"memory {found.resident_mib:.0f} MiB")

    invocation.answer(_document(found), text)


@click.command(cls=Verb, epilog='\b\nExamples:\n  eval "$(runctl local env)" && aws s3 ls')
@click.pass_obj
def env(invocation: Invocation) -> None:
    """Print export lines for the AWS CLI and SDKs."""
    variables = invocation.local_cloud.environment()

    def text() -> None:
        for name, value in variables.items():
            click.echo(f"export {name}={shlex.quote(value)}")

    invocation.answer(variables, text)


@click.command(cls=Verb, epilog="\b\nExamples:\n  runctl local logs --lines 200\n  runctl local logs -f")
@click.option("--follow", "-f", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--lines", type=click.IntRange(min=1), default=100, show_default=True, help="How many, the newest.")
@click.pass_obj
def logs(invocation: Invocation, follow: bool, lines: int) -> None:
    """Print what it logged."""
    path = invocation.local_cloud.log_path
    if not path.is_file():
        raise NotFoundError("The local cloud has not logged anything yet.", hint="Start it with: runctl local up")
    newest = path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]

    def text() -> None:
        for line in newest:
            click.echo(line)

    invocation.answer({"path": str(path), "lines": newest}, text)
    if follow:
        for line in _new_lines(path):
            click.echo(line)


def _new_lines(path: Path) -> Iterator[str]:
    """Go on reading a file that grows; ends when it is gone."""
    with path.open(encoding="utf-8", errors="replace") as file:
        file.seek(0, 2)
        while path.exists():
            line = file.readline()
            if line:
                yield line.rstrip("\n")
            else:
                time.sleep(_LOOK_S)


def _document(status: "CloudStatus") -> dict[str, Any]:
    from runctl.model.base import iso

    document: dict[str, Any] = dataclasses.asdict(status)
    if document["started_at"] is not None:
        document["started_at"] = iso(datetime.fromtimestamp(document["started_at"], UTC))
    return document
