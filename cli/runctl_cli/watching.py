"""`runctl watch`: on a terminal a live screen, elsewhere lines; it ends with the run, and Ctrl-C only lets go."""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from runctl_cli.invocation import Invocation
from runctl_cli.waiting import answer_detached, answer_end
from runctl_cli.watch_screen import progress_text, screen_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from runctl.client.watching import RunView
    from runctl.model.run import Run

_LINES_EVERY: Final = timedelta(seconds=30)
"""Between two lines of progress where they stay."""


class WatchScreen:
    """The newest view, drawn as large as the terminal is at that moment."""

    def __init__(self, now: "Callable[[], datetime]") -> None:
        self.view: RunView | None = None
        self._now = now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it line by line; what is wider than the terminal is cut."""
        if self.view is None:
            yield Text("Looking ...", style="dim")
            return
        height = options.height or console.height
        # The last column and line stay free: some terminals go on to the next line by themselves.
        lines = screen_lines(
            self.view,
            self._now(),
            width=options.max_width - 1,
            height=height - 1,
            ascii_only=options.ascii_only,
        )
        for line in lines:
            text = Text(no_wrap=True, overflow="crop")
            for span in line:
                text.append(span.text, style=span.style)
            yield text


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
    """Draw on the terminal's other screen, so that what stood there before stands there afterwards."""
    screen = WatchScreen(lambda: datetime.now(UTC))
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    live = Live(
        screen, console=console, screen=True, refresh_per_second=1, redirect_stdout=False, redirect_stderr=False
    )
    with live:
        for view in views:
            screen.view = view
            live.refresh()
    return None if screen.view is None else screen.view.run


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
