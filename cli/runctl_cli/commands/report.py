"""`runctl report`."""

from pathlib import Path

import click

from runctl.errors import UsageError
from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import complete_runs
from runctl_cli.root import Verb

EXAMPLES = """\b
Examples:
  runctl report last
  runctl report r-1hx3k7p r-1hx2b9c --to comparison.html
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("run_names", metavar="RUN...", shell_complete=complete_runs, nargs=-1, required=True)
@click.option(
    "--to",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="[default: report-RUN.html, of several runs report.html]",
)
@click.pass_obj
def report(invocation: Invocation, run_names: tuple[str, ...], path: Path | None) -> None:
    """Write a page about a run, or one that compares several.

    RUN is an id, the beginning of one, or "last". The page is one HTML file that opens offline: curves, how busy the
    machines were, attempts on a time line, cost, events and the end of the log.
    """
    client = invocation.client
    runs = list({run.run_id: run for run in map(client.run, run_names)}.values())
    target = path or Path(f"report-{runs[0].run_id}.html" if len(runs) == 1 else "report.html")
    page = client.page(runs)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"The report cannot be written to {target}: {error.strerror}.", hint="Choose another file with --to."
        ) from error
    data = {"path": str(target.resolve()), "run_ids": [run.run_id for run in runs], "bytes": target.stat().st_size}

    def text() -> None:
        click.echo(target)
        if not all(run.status.is_terminal for run in runs):
            invocation.say("It shows how things stand now; write it again later for the rest.")
        invocation.say(f"Open it in a browser: {target.resolve().as_uri()}")

    invocation.answer(data, text)
