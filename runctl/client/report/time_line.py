"""The attempts of a run on a time line: one bar a machine, from its launch to its end."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from runctl.client.report.markup import Html, markup, tag
from runctl.client.report.record import RunRecord
from runctl.client.report.scales import seconds_text, time_scale
from runctl.model.attempt import Attempt, FactKind
from runctl.model.base import iso
from runctl.model.timeline import TimelineKind

_WIDTH: Final = 1_000.0
_HEIGHT: Final = 14.0

_PHASES: Final = (("boot", "the machine boots and prepares"), ("train", "it trains"), ("drain", "EC2 takes it back"))


def time_line(record: RunRecord) -> Html | None:
    """Draw the attempts; None when there is none."""
    if not record.attempts:
        return None
    began = min([record.run.created_at, *(attempt.created_at for attempt in record.attempts)])
    axis = time_scale((record.ended_at - began).total_seconds(), wanted=3)

    def x(moment: datetime) -> float:
        return round(axis.share((moment - began).total_seconds()) * _WIDTH, 1)

    rows = [_row(attempt, record, x(attempt.created_at), x) for attempt in record.attempts]
    marks = [
        tag("span", axis.text(mark), style=f"left:{axis.share(mark) * 100:.2f}%")
        for mark in axis.marks
        if axis.share(mark) < 0.97
    ]
    keys = [markup(tag("i", class_=f"key phase {name}"), tag("span", text)) for name, text in _PHASES]
    keys.append(markup(tag("i", class_="key phase saved"), tag("span", "a checkpoint was saved")))
    return tag(
        "div",
        tag("ol", rows, class_="attempts"),
        tag("div", marks, class_="scale"),
        tag("ul", [tag("li", key) for key in keys], class_="legend"),
        tag("p", f"Since {iso(began)[:19].replace('T', ' ')} UTC.", class_="note"),
    )


def machine_text(attempt: Attempt) -> str:
    """Type, zone and purchase of an attempt's machine, as far as they are known."""
    option = "" if attempt.purchase_option is None else attempt.purchase_option.value
    known = [part for part in (attempt.instance_type, attempt.availability_zone, option) if part]
    return " · ".join(known) or "no machine"


def _row(attempt: Attempt, record: RunRecord, start: float, x: Callable[[datetime], float]) -> Html:
    ended = attempt.ended_at or attempt.gone_at or record.ended_at
    how = "still going" if attempt.reason is None else attempt.reason.value
    since = attempt.launched_at or attempt.created_at
    bars = [
        _bar(name, x(begin), x(end), text)
        for (name, text), begin, end in zip(_PHASES, *_bounds(attempt, ended), strict=True)
        if begin is not None and end > begin
    ]
    saved = [
        tag("g", tag("title", event.text), tag("rect", x=x(event.at) - 1.5, y=0, width=3, height=_HEIGHT))
        for event in record.events
        if event.kind is TimelineKind.CHECKPOINT_SAVED and event.attempt == attempt.number
    ]
    svg = tag(
        "svg",
        tag("rect", x=start, y=_HEIGHT / 2 - 1, width=max(0.0, x(since) - start), height=2, class_="asked"),
        bars,
        tag("g", saved, class_="saved"),
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"attempt {attempt.number}, {how}",
    )
    lasted = seconds_text((ended - since).total_seconds())
    evidence = tag("p", attempt.evidence, class_="note") if attempt.evidence else None
    said = tag("span", tag("b", str(attempt.number)), f" {machine_text(attempt)}")
    return tag("li", tag("div", said, tag("small", f"{lasted}, {how}"), class_="words"), svg, evidence)


def _bounds(attempt: Attempt, ended: datetime) -> tuple[list[datetime | None], list[datetime]]:
    """Where the three phases begin and end; one that did not come begins nowhere."""
    launched = attempt.launched_at
    started = attempt.facts.get(FactKind.STARTED)
    warned = attempt.facts.get(FactKind.WARNED)
    starts = None if started is None else min(started.at, ended)
    warns = None if warned is None else min(warned.at, ended)
    boot_end = starts or warns or ended
    return [launched, starts, warns], [boot_end, warns or ended, ended]


def _bar(name: str, left: float, right: float, text: str) -> Html:
    width = max(2.0, round(right - left, 1))
    return tag("rect", tag("title", text), x=left, y=0, width=width, height=_HEIGHT, class_=f"phase {name}")
