"""What the demo shows: what happens, with times; then both runs side by side."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.demo.verdict import Claim, Outcome, RunDocument

_STYLES = {
    "interruption_warning": "bold yellow",
    "machine_gone": "yellow",
    "recovering": "yellow",
    "concluded": "bold green",
    "checkpoint_saved": "dim",
}


_TOLD_BY_OTHERS = frozenset({"attempt_ended", "notified"})
_MACHINE = re.compile(r"(?:[Tt]he )?(?:spot|on-demand) machine (i-[0-9a-f]{4})[0-9a-f]* \([^,)]*, ([^)]*)\)")
_WIDTH_OF_FILES = 132
"""Columns when nobody watches: a log is wider than the 80 columns of an unknown terminal."""


class Stage:
    """Where the demo speaks."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._last_text = ""
        if not self._console.is_terminal:
            self._console.width = max(self._console.width, _WIDTH_OF_FILES)

    def title(self, text: str, note: str) -> None:
        """Open."""
        self._console.print(Text(text, "bold"))
        self._console.print(Text(note, "dim"))

    def scene(self, text: str, command: str) -> None:
        """Say what comes, and the command that does it."""
        self._console.print()
        self._console.print(Text(text, "bold cyan"))
        self._console.print(Text(f"$ {command}", "dim"))

    def line(self, seconds: float | None, label: str, text: str, style: str = "") -> None:
        """Say one thing, with its time."""
        time = "" if seconds is None else f"{seconds:.1f} s"
        row = Text.assemble(
            (f"{time:>8}  ", "dim"), (f"{label:<20}", style), " ", (text, "dim" if style == "dim" else "")
        )
        row.truncate(self._console.width, overflow="ellipsis")
        self._console.print(row)

    def event(self, seconds: float, event: dict[str, Any]) -> None:
        """Say what happened to a run, unless the line before or after it says as much."""
        kind, text = event["kind"], shorten(event["text"])
        if kind in _TOLD_BY_OTHERS or text == self._last_text:
            return
        self._last_text = text
        self.line(seconds, kind.replace("_", " "), text, _STYLES.get(kind, ""))

    def comparison(self, outcome: Outcome) -> None:
        """Show both runs side by side."""
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
        for heading in ("", "interrupted", "uninterrupted"):
            table.add_column(heading, style="dim" if not heading else "", header_style="bold")
        runs = (outcome.interrupted, outcome.uninterrupted)
        rows: Sequence[tuple[str, Sequence[str]]] = (
            ("status", [run["status"] for run in runs]),
            ("machines", [_machines(run) for run in runs]),
            ("resumed from epoch", [_resumed(run) for run in runs]),
            ("cost", [_usd(run["cost"]["accrued_usd"]) for run in runs]),
            ("saved against on-demand", [_usd(run["cost"]["saved_usd"]) for run in runs]),
            ("state transitions", [str(outcome.interrupted_transitions), str(outcome.clean_transitions)]),
            ("weights", [_short(outcome.interrupted_weights), _short(outcome.uninterrupted_weights)]),
        )
        for name, values in rows:
            table.add_row(name, *values)
        self._console.print()
        self._console.print(table)

    def claims(self, claims: Sequence[Claim]) -> None:
        """Say which claims hold."""
        self._console.print()
        for claim in claims:
            mark, style = ("✓", "green") if claim.holds else ("✗", "bold red")
            self._console.print(Text.assemble((f"{mark} ", style), (claim.text, "" if claim.holds else style)))

    def note(self, text: str) -> None:
        """Say something by the way."""
        self._console.print()
        self._console.print(Text(text, "dim"))

    def commands(self, heading: str, commands: Sequence[str]) -> None:
        """Say what to do next."""
        self._console.print()
        self._console.print(Text(heading, "bold"))
        for command in commands:
            self._console.print(f"  {command}", soft_wrap=True)

    def failure(self, text: str) -> None:
        """Say that the demo could not be given."""
        self._console.print(Text(f"✗ {text}", "bold red"), soft_wrap=True)


def shorten(text: str) -> str:
    """Name a machine by the beginning of its id and its zone: purchase option and type are the same all along."""
    return _MACHINE.sub(r"\1… in \2", text)


def _machines(run: RunDocument) -> str:
    zones = [attempt["availability_zone"] or "none" for attempt in run["attempts"]]
    return f"{len(zones)} ({', '.join(zones)})"


def _resumed(run: RunDocument) -> str:
    steps = [str(a["resumed_from_step"]) for a in run["attempts"] if a["resumed_from_step"] is not None]
    return ", ".join(steps) or "–"


def _usd(amount: Any) -> str:
    return "–" if amount is None else f"${Decimal(str(amount)):.6f}"


def _short(digest: str) -> str:
    return f"{digest[:16]}…" if digest else "none"
