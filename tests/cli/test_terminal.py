"""What a real terminal shows: narrow and wide, without colour, without UTF-8."""

import os
import re
import sys
from pathlib import Path

import pexpect
import pytest

REPOSITORY = Path(__file__).parents[2]
SHELL = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
"""The terminal's own size counts."""

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
COMMANDS = (
    "ps",
    "status r-1hx3k7paaaaa",
    "doctor",
    "resources list",
    "status nothing",
    "--help",
)


def shown(project: Path, line: str, *, columns: int = 80, **environment: str) -> str:
    """Run a command on a terminal; answers all that it wrote there."""
    program = pexpect.spawn(
        sys.executable,
        ["-m", "tests.cli.terminal_program", *line.split()],
        cwd=project,
        env={**SHELL, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'cli'}", "TERM": "xterm", **environment},
        dimensions=(40, columns),
        encoding="utf-8",
        codec_errors="replace",
        timeout=60,
    )
    program.expect(pexpect.EOF)
    program.close()
    assert program.exitstatus in {0, 3, 4}, program.before
    return program.before or ""


@pytest.mark.parametrize("line", COMMANDS)
@pytest.mark.parametrize("columns", [60, 200])
def test_nothing_breaks_at_any_width(project: Path, line: str, columns: int) -> None:
    text = shown(project, line, columns=columns)

    assert text.strip()
    assert "Traceback" not in text


@pytest.mark.parametrize("columns", [60, 200])
def test_help_fits_the_terminal(project: Path, columns: int) -> None:
    lines = shown(project, "--help", columns=columns).splitlines()

    assert max(len(line.rstrip()) for line in lines) <= min(columns, 100)


def test_terminal_sees_colour(project: Path) -> None:
    assert COLOUR.search(shown(project, "status r-1hx3k7paaaaa"))


@pytest.mark.parametrize("line", COMMANDS)
def test_no_colour_when_it_is_not_wanted(project: Path, line: str) -> None:
    assert not COLOUR.search(shown(project, line, NO_COLOR="1"))


@pytest.mark.parametrize("line", COMMANDS)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminal_without_utf_8_gets_what_it_can_show(project: Path, line: str, encoding: str) -> None:
    text = shown(project, line, PYTHONIOENCODING=encoding)

    assert "UnicodeEncodeError" not in text
    assert "Something went wrong" not in text
