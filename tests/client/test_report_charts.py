"""The drawings of a report: scales, curves, markup."""

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runctl.client.report.charts import Curve, Mark, chart
from runctl.client.report.markup import markup, printable, tag
from runctl.client.report.scales import scale, seconds_text, short_text, time_scale

VALUES = st.floats(-1e12, 1e12, allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-9)


def test_text_is_escaped_and_markup_is_not() -> None:
    assert markup("<b>", tag("i", "a & b", title='"x"')) == '&lt;b&gt;<i title="&quot;x&quot;">a &amp; b</i>'


def test_colours_of_a_terminal_and_what_html_cannot_hold_do_not_reach_the_page() -> None:
    assert printable("\x1b[1;32mok\x1b[0m \x1b]0;title\x07a\tb\x00\ud800") == "ok a\tb\ufffd\ufffd"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0123, "0.0123"), (12.5, "12.5"), (1_200, "1.2k"), (17_800, "17.8k"), (3.4e-7, "3.4e-07"), (-5, "-5")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert short_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0"), (45, "45 s"), (300, "5 min"), (7_200, "2 h"), (5_400, "1 h 30"), (90_000, "1 d 1 h")],
)
def test_times_are_short(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=20))
def test_scale_holds_every_value_and_has_few_marks(values: list[float]) -> None:
    made = scale(min(values), max(values), may_be_log=True)

    assert all(0 <= made.share(value) <= 1 for value in values)
    assert 2 <= len(made.marks) <= 9
    assert made.low <= min(values) + 1e-9 * abs(min(values))
    assert made.high >= max(values) - 1e-9 * abs(max(values))


@settings(deadline=None)
@given(st.floats(0, 3e8))
def test_time_scale_begins_at_nothing_and_has_few_marks(seconds: float) -> None:
    made = time_scale(seconds)

    assert made.marks[0] == 0
    assert len(made.marks) <= 6


def test_curve_over_orders_of_magnitude_is_logarithmic_only_where_it_may_be() -> None:
    assert scale(0.01, 10, may_be_log=True).is_log
    assert not scale(0.01, 10).is_log
    assert not scale(0, 10, may_be_log=True).is_log


def test_curve_is_broken_where_the_machine_changed_and_where_the_loss_ran_away() -> None:
    curve = Curve("loss", (((0, 1.0), (1, math.nan), (2, 0.5), (3, 0.4)), ((4, 0.3), (5, math.inf))))

    drawn = chart("loss", [curve], over_time=False)

    assert drawn is not None
    assert (drawn.count("<polyline"), drawn.count("<circle")) == (1, 2)
    assert "nan" not in drawn.lower()
    assert "inf" not in drawn.lower()


def test_chart_is_well_formed_and_names_what_it_shows() -> None:
    drawn = chart("a<b", [Curve("x & y", (((0, 1.0), (60, 2.0)),))], over_time=True, marks=[Mark(30, "attempt 2 <on>")])

    assert drawn is not None
    figure = ElementTree.fromstring(drawn)
    texts = [element.text for element in figure.iter("title")]
    assert texts == ["attempt 2 <on>", "x & y"]
    svg = figure.find("svg")
    assert svg is not None
    assert svg.get("aria-label") == "a<b, over time"


def test_curves_lie_inside_the_drawing() -> None:
    drawn = chart("loss", [Curve("loss", (((0, -5.0), (10, 1e9)),))], over_time=False)

    assert drawn is not None
    (points,) = re.findall(r'points="([^"]+)"', drawn)
    places = [tuple(map(float, pair.split(","))) for pair in points.split()]
    assert all(0 <= x <= 360 and 0 <= y <= 190 for x, y in places)


def test_nothing_is_drawn_of_nothing() -> None:
    assert chart("loss", [Curve("loss", ()), Curve("x", (((0, math.nan),),))], over_time=False) is None
