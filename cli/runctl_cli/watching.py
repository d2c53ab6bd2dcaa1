"""`runctl watch`: on a terminal a live screen, elsewhere lines; it ends with the run, and Ctrl-C only lets go."""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from runctl_cli.invocation import Invocation
from runctl_cli.other_screen import OtherScreen
from runctl_cli.waiting import answer_detached, answer_end
from runctl_cli.watch_screen import progress_text, screen_lines

if TYPE_CHECKING:
    from runctl.client.watching import RunView
    from runctl.model.run import Run

_LINES_EVERY: Final = timedelta(seconds=30)
"""Between two lines of progress where they stay."""


def watch_and_answer(invocation: Invocation, run: "Run") -> None:
    """Show the run until its end and answer with its result: the exit code is the training's (docs/errors.md)."""
    views = invocation.client.watch(run.run_id)
    try:
        ended = _on_screen(views) if _has_screen() else _in_lines(invocation, views)
    except KeyboardInterrupt:
        client = invocation.client
        again = f"runctl watch {run.run_id}"
        answer_detached(invocation, run, client.document(run), lambda: click.echo(run.run_id), again=again)
        return
    answer_end(invocation, ended or run)


def _has_screen() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}


def _on_screen(views: "Iterator[RunView]") -> "Run | None":
    """Draw each view on the terminal's other screen, as large as the terminal is at that moment."""
    run = None
    with OtherScreen() as screen:
        for view in views:
            run = view.run
            width, height = screen.size
            now = datetime.now(UTC)
            screen.draw(screen_lines(view, now, width=width, height=height, ascii_only=screen.ascii_only))
    return run


def _in_lines(invocation: Invocation, views: "Iterator[RunView]") -> "Run | None":
    invocation.say("No terminal to draw on: changes are told line by line. The run goes on without this command.")
    told: set[tuple[str, str]] = set()
    progress, progress_at = "", None
    run = None
    for view in views:
        run = view.run
        clock = f"{view.read_at.astimezone():%H:%M:%S}"
        if (run.status.value, run.message) not in told:
            told.add((run.status.value, run.message))
            invocation.say(f"{clock}  {run.status.value:<15}  {run.message}")
        text = progress_text(view)
        is_due = progress_at is None or view.read_at - progress_at >= _LINES_EVERY
        if run.progress is not None and text != progress and is_due:
            progress, progress_at = text, view.read_at
            invocation.say(f"{clock}  {run.status.value:<15}  {text}")
    return run
