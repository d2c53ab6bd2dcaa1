"""`runctl sync`."""

from typing import TYPE_CHECKING, Any

import click

from runctl_cli.invocation import Invocation
from runctl_cli.parameters import sync_options
from runctl_cli.root import Verb

if TYPE_CHECKING:
    from runctl.client.project import ProjectFiles

EXAMPLES = """\b
Examples:
  runctl sync
  runctl sync --dry-run
  runctl sync --exclude 'notebooks/' --include data/small.csv
"""

_SHOWN = 10


@click.command(cls=Verb, epilog=EXAMPLES)
@sync_options
@click.option("--dry-run", is_flag=True, help="Send nothing; say what belongs to the project, the largest files first.")
@click.pass_obj
def sync(invocation: Invocation, include: tuple[str, ...], exclude: tuple[str, ...], dry_run: bool) -> None:
    """Send the project to the bucket, and launch nothing.

    Only what is not there is sent: of an unchanged project nothing, of a changed file that file. Every train does this
    by itself.
    """
    from runctl.client.project import collect_files
    from runctl_cli.launching import sending

    configuration = invocation.configuration
    settings = configuration.settings.sync
    files = collect_files(
        configuration.folder,
        include=(*settings.include, *include),
        exclude=(*configuration.left_out, *exclude),
        max_bytes=settings.max_mb * 1_000_000,
    )
    for skipped in files.skipped:
        invocation.say(f"Note: {skipped}")
    if dry_run:
        invocation.answer(_of_files(configuration.folder, files), lambda: _print_largest(files))
        return
    client = invocation.client
    place = client.place
    target = configuration.settings.target.value
    invocation.say(f"Target {target}, account {place.account}, region {place.region}.")
    told, on_bytes = sending(invocation)
    synced = client.sync(configuration.folder, files, on_bytes)
    told(synced)
    moved = {
        "sha256": synced.code.sha256,
        "sent_files": synced.sent_files,
        "sent_bytes": synced.sent_bytes,
    }
    invocation.answer(_of_files(configuration.folder, files) | moved, lambda: click.echo(synced.code.sha256))


def _of_files(folder: Any, files: "ProjectFiles") -> dict[str, Any]:
    return {"folder": str(folder), "files": len(files.files), "bytes": files.bytes, "skipped": list(files.skipped)}


def _print_largest(files: "ProjectFiles") -> None:
    from runctl_cli.tables import table_lines
    from runctl_cli.values import bytes_text

    largest = sorted(files.files, key=lambda file: -file.bytes)
    rows = [(bytes_text(file.bytes), file.path) for file in largest[:_SHOWN]]
    for line in table_lines(("SIZE", "FILE"), rows):
        click.echo(line)
    if len(largest) > _SHOWN:
        click.echo(f"… and {len(largest) - _SHOWN} more; {len(largest)} files, {bytes_text(files.bytes)} in all.")
