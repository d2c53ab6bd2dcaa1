"""`runctl logs`."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from runctl.errors import ConfigurationError
from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import complete_runs
from runctl_cli.output import OutputFormat
from runctl_cli.root import Verb

if TYPE_CHECKING:
    from runctl.client.following import LogEntry
    from runctl.model.ids import AttemptNumber
    from runctl.model.run import Run

EXAMPLES = """\b
Examples:
  runctl logs last -f
  runctl logs r-1hx3k7p --attempt 1
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("run_name", metavar="RUN", shell_complete=complete_runs)
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended, and return the training's result.")
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="One attempt only.  [default: all]")
@click.option(
    "--log-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep a copy there.  [default: dir in [logs] of the configuration]",
)
@click.pass_obj
def logs(invocation: Invocation, run_name: str, follow: bool, attempt: int | None, log_dir: Path | None) -> None:
    """Print what the training printed.

    RUN is an id, the beginning of one, or "last". Ctrl-C ends the following, never the run.
    """
    print_log(invocation, invocation.client.run(run_name), follow=follow, attempt=attempt, log_dir=log_dir)


def print_log(
    invocation: Invocation, run: "Run", *, follow: bool, attempt: int | None = None, log_dir: Path | None = None
) -> None:
    """Print a run's log; after following answer with the training's result."""
    from runctl.model.ids import AttemptNumber

    client = invocation.client
    folder = log_dir or invocation.configuration.log_dir
    entries = client.logs(run.run_id, attempt=None if attempt is None else AttemptNumber(attempt), follow=follow)
    lines: list[dict[str, Any]] = []
    is_text = invocation.output is OutputFormat.TEXT
    try:
        with ExitStack() as stack:
            copies = None if folder is None else _Copies(folder, run.run_id, stack)
            for entry in _separated(invocation, entries):
                if copies is not None:
                    copies.write(entry)
                if is_text:
                    click.echo(entry.line.text)
                else:
                    lines.append({"attempt": entry.attempt, "at_ms": entry.line.at_ms, "text": entry.line.text})
    except KeyboardInterrupt:
        from runctl_cli.waiting import answer_detached

        answer_detached(invocation, run, {"run_id": run.run_id, "lines": lines})
        return
    if not follow:
        invocation.answer({"run_id": run.run_id, "lines": lines})
        return
    from runctl.model.status import EXIT_CODE_OF_REASON
    from runctl_cli.waiting import error_of_end

    ended = client.run(run.run_id)
    error = error_of_end(ended)
    is_success = ended.reason is not None and error is None

    def text() -> None:
        if is_success:
            invocation.say("Training completed successfully")
            invocation.say_next(
                (f"runctl download {run.run_id}", "fetch its newest checkpoint and its outputs"),
                (f"runctl report {run.run_id}", "a page about it"),
            )

    invocation.answer(
        {"run_id": run.run_id, "lines": lines},
        text,
        errors=() if error is None else (error,),
        exit_code=0 if ended.reason is None else EXIT_CODE_OF_REASON[ended.reason],
    )


def _separated(invocation: Invocation, entries: "Iterator[LogEntry]") -> "Iterator[LogEntry]":
    """Say on stderr where another machine goes on."""
    current = None
    for entry in entries:
        if entry.attempt != current and (current is not None or entry.attempt > 1):
            invocation.say(f"--- attempt {entry.attempt}: another machine ---")
        current = entry.attempt
        yield entry


class _Copies:
    """One file an attempt, never the same for two calls: an older copy is not overwritten."""

    def __init__(self, folder: Path, run_id: str, stack: ExitStack) -> None:
        self._folder = folder
        self._run_id = run_id
        self._stack = stack
        self._stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        self._files: dict[AttemptNumber, IO[str]] = {}

    def write(self, entry: "LogEntry") -> None:
        file = self._files.get(entry.attempt)
        if file is None:
            path = self._folder / f"{self._run_id}-{entry.attempt:04d}-{self._stamp}.log"
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                file = self._stack.enter_context(path.open("w", encoding="utf-8"))
            except OSError as error:
                raise ConfigurationError(
                    f"The log cannot be kept in {self._folder}: {error.strerror}.", hint="Choose another --log-dir."
                ) from error
            self._files[entry.attempt] = file
        file.write(entry.line.text + "\n")
        file.flush()
