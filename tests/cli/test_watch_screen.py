"""What the live screen shows, in as much room as there is."""

import io
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runctl.client.watching import RunView
from runctl.model.history import MetricsHistory
from runctl.model.ids import AttemptNumber
from runctl.model.run import Progress
from runctl.model.status import Reason
from runctl.model.timeline import TimelineEvent, TimelineKind
from runctl_cli.other_screen import OtherScreen, columns_of, cut
from runctl_cli.plot import bar, plot_lines
from runctl_cli.watch_screen import Span, progress_text, screen_lines, time_left
from tests.client.deployment import NOW, a_run, an_attempt


def _series(*points: tuple[float, int, float]) -> dict[str, Any]:
    values = [value for _, _, value in points]
    return {
        "count": len(values),
        "last": values[-1],
        "min": min(values),
        "max": max(values),
        "points": [list(point) for point in points],
    }


def _view(**fields: Any) -> RunView:
    loss = _series(*((10.0 * at, 100 * at, 2.0 / (1 + at)) for at in range(30)))
    history = MetricsHistory.model_validate(
        {
            "run_id": "r-1hx3k7pabcde",
            "attempt": 2,
            "began_at": NOW,
            "seconds": 290.0,
            "training": {"loss": loss, "throughput": _series((290.0, 2_900, 1_234.0))},
            "machine": {
                "cpu_percent": _series((0.0, 0, 42.4)),
                "gpu0_percent": _series((0.0, 0, 97.0)),
                "gpu0_memory_percent": _series((0.0, 0, 81.0)),
            },
        }
    )
    spec = a_run().spec.model_copy(update={"max_cost_usd": Decimal("0.01")})
    run = a_run(
        message="It trains on a machine of its own.",
        spec=spec,
        progress=Progress(at=NOW, step=2_800, total_steps=5_800, loss=0.07, throughput=1_200),
    )
    first = an_attempt(number=1, reason=Reason.SPOT_INTERRUPTION, ended_at=NOW)
    second = an_attempt(number=2)
    events = tuple(
        TimelineEvent(
            run_id=run.run_id, event_id=str(number), at=NOW, kind=TimelineKind.WARNING, text=f"Event {number}."
        )
        for number in range(40)
    )
    known: dict[str, Any] = {
        "run": run,
        "attempts": (first, second),
        "events": events,
        "metrics": (history,),
        "read_at": NOW,
    }
    return RunView(**(known | fields))


def _text(view: RunView, *, width: int = 100, height: int = 40, ascii_only: bool = False) -> list[str]:
    lines = screen_lines(view, NOW, width=width, height=height, ascii_only=ascii_only)
    return ["".join(span.text for span in line) for line in lines]


def test_screen_tells_progress_loss_machine_cost_attempts_and_events() -> None:
    lines = _text(_view())

    text = "\n".join(lines)
    assert "r-1hx3k7pabcde  digits  RUNNING" in lines[0]
    assert "It trains on a machine of its own." in lines[1]
    assert "50 %  step 2,900 of 5,800  1.234k/s  4 min 50 s left" in text
    assert "loss  0.0667, least 0.0667" in text
    assert "processor 42 %, GPU 0 97 % (memory 81 %)" in text
    assert "of $0.01" in text
    assert "an hour" in text
    assert "1  t3.micro us-east-1a spot  4 min  SPOT_INTERRUPTION" in text
    assert "Event 39." in text
    assert lines[-1].startswith("Ctrl-C lets go")


def test_newest_event_stands_last_and_old_ones_give_way() -> None:
    lines = _text(_view(), height=24)

    shown = [line for line in lines if "Event" in line and "." in line]
    assert shown
    assert shown[-1].endswith("Event 39.")
    assert "Event 0." not in "\n".join(lines)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(20, 220), st.booleans())
def test_screen_never_has_more_lines_than_the_terminal(height: int, width: int, ascii_only: bool) -> None:
    lines = _text(_view(), width=width, height=height, ascii_only=ascii_only)

    assert len(lines) <= height
    assert lines[-1].startswith("Ctrl-C lets go")
    if ascii_only:
        assert "".join(lines).isascii()


def test_run_that_has_barely_begun_has_a_screen_too() -> None:
    view = _view(run=a_run(attempt=AttemptNumber(0)), attempts=(), events=(), metrics=())

    text = "\n".join(_text(view))

    assert "no step has been told yet" in text
    assert "$0" in text
    assert time_left(view) is None


def _drawn(view: RunView, *, encoding: str = "utf-8", has_colour: bool = True) -> str:
    raw = io.BytesIO()
    screen = OtherScreen(io.TextIOWrapper(raw, encoding=encoding, errors="strict"), has_colour=has_colour)
    width, height = screen.size
    screen.draw(screen_lines(view, NOW, width=width, height=height, ascii_only=screen.ascii_only))
    return raw.getvalue().decode(encoding)


def test_what_a_user_wrote_moves_no_cursor() -> None:
    run = _view().run.model_copy(update={"name": "\x1b[2J[red]x[/red]", "message": "a\r\nb\x07"})

    written = _drawn(_view(run=run))

    assert "\x1b[2J" not in written
    assert "[red]x[/red]" in written
    assert "\x07" not in written


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_screen_fits_sixty_columns_in_any_encoding_and_without_colour(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "30")
    run = _view().run.model_copy(update={"name": "größe-模型", "message": "Waiting … for a machine. " * 8})

    written = _drawn(_view(run=run), encoding=encoding, has_colour=False)

    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).split("\r\n")
    assert all(sum(map(columns_of, line)) < 60 for line in lines)
    assert 5 < len(lines) < 30
    assert "\x1b[3" not in written
    assert "\x1b[1m" in written


def test_wide_characters_take_two_columns_and_accents_none() -> None:
    assert cut((Span("模型 ", "bold"), Span("e\u0301t")), 6) == (Span("模型 ", "bold"), Span("e\u0301"))
    assert cut((Span("模型"),), 3) == (Span("模"),)


def test_screen_is_left_however_the_watching_ends() -> None:
    raw = io.BytesIO()
    with (
        pytest.raises(KeyboardInterrupt),
        OtherScreen(io.TextIOWrapper(raw, encoding="utf-8"), has_colour=False) as screen,
    ):
        screen.draw([(Span("line"),)])
        raise KeyboardInterrupt

    written = raw.getvalue().decode()
    assert written.startswith("\x1b[?1049h")
    assert written.endswith("\x1b[?1049l")


def test_line_of_progress_is_talk_without_a_screen() -> None:
    assert progress_text(_view()).startswith("step 2,800 of 5,800, loss 0.07, 1.2k/s, $0.00")


def test_curve_falls_from_the_upper_left_to_the_lower_right() -> None:
    points = [(float(at), 10.0 - at) for at in range(11)]

    drawn = plot_lines(points, width=30, height=5, ascii_only=True)

    assert len(drawn) == 5
    assert all(len(line) <= 30 for line in drawn)
    assert [line[:8].strip() for line in drawn] == ["10", "", "", "", "0"]
    assert drawn[0][10] == "*"
    assert drawn[-1].rstrip()[-1] == "*"
    assert drawn[-1][10] == " "


def test_curve_in_braille_is_of_the_same_size_and_connected() -> None:
    drawn = plot_lines([(0.0, 0.0), (1.0, 1.0)], width=30, height=5, ascii_only=False)

    cells = {character for line in drawn for character in line[10:]} - {" "}
    assert cells
    assert all("\u2801" <= cell <= "\u28ff" for cell in cells)
    assert all(line[10:].strip() for line in drawn)


def test_nothing_is_drawn_of_no_points_or_in_no_room() -> None:
    assert plot_lines([], width=80, height=5, ascii_only=False) == []
    assert plot_lines([(0.0, 1.0)], width=9, height=5, ascii_only=False) == []


@pytest.mark.parametrize(("share", "drawn"), [(0, "----"), (0.5, "##--"), (1, "####"), (7, "####"), (-1, "----")])
def test_bar_is_never_longer_than_its_room(share: float, drawn: str) -> None:
    assert bar(share, 4, ascii_only=True) == drawn


def test_time_left_is_told_by_the_newest_steps() -> None:
    assert time_left(_view()) == timedelta(seconds=290)
