"""What the demo shows is short enough to read."""

import io

import pytest
from rich.console import Console

from tests.demo.stage import Stage, shorten


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (
            "EC2 launched the spot machine i-7164b82f966964524 (t3.medium, us-east-1b) at $0.018500 an hour.",
            "EC2 launched i-7164… in us-east-1b at $0.018500 an hour.",
        ),
        (
            "The on-demand machine i-7164b82f966964524 (m5.large, us-east-1c) is reachable through SSM.",
            "i-7164… in us-east-1c is reachable through SSM.",
        ),
        ("The run was admitted.", "The run was admitted."),
    ],
)
def test_machines_are_named_in_short(told: str, shown: str) -> None:
    assert shorten(told) == shown


def test_a_line_fits_the_terminal() -> None:
    screen = io.StringIO()

    Stage(Console(file=screen, width=60, force_terminal=True, color_system=None)).line(1.25, "launched", "words " * 30)

    (line,) = screen.getvalue().splitlines()
    assert len(line) <= 60
    assert line.startswith("   1.2 s  launched")
    assert line.endswith("…")


def test_what_was_just_said_is_not_said_again() -> None:
    screen = io.StringIO()
    stage = Stage(Console(file=screen))

    stage.event(1.0, {"kind": "training_ended", "text": "It was asked to leave."})
    stage.event(1.1, {"kind": "attempt_ended", "text": "Attempt 1 ended: It was asked to leave."})
    stage.event(1.2, {"kind": "recovering", "text": "It was asked to leave."})

    assert screen.getvalue().count("asked to leave") == 1
