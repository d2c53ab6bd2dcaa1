"""The screen of `runctl watch`: what it shows of a run, in as many lines and columns as there are. Pure."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Final

from runctl.client.metrics import loss_name
from runctl.client.report.markup import printable
from runctl.client.report.scales import short_text
from runctl.model.status import RunStatus
from runctl.policy.cost import usd_per_hour
from runctl_cli.plot import Point, bar, plot_lines
from runctl_cli.values import duration_text, usd_text

if TYPE_CHECKING:
    from runctl.client.watching import RunView
    from runctl.model.attempt import Attempt
    from runctl.model.history import MetricsHistory

_BAR: Final = 20
_ATTEMPTS: Final = 4
_PLOT_LINES: Final = (4, 12)
"""Least and most lines of the curve."""

_RECENT: Final = 20
"""Points by which the rate of steps is told: a training that became slower is told as slow."""

_STYLES: Final = {
    RunStatus.SUCCEEDED: "bold green",
    RunStatus.FAILED: "bold red",
    RunStatus.STOPPED: "bold yellow",
    RunStatus.CANCELLED: "bold yellow",
}


@dataclass(frozen=True)
class Span:
    """A piece of a line, and how it looks."""

    text: str
    style: str = ""


Line = tuple[Span, ...]


def screen_lines(view: "RunView", now: datetime, *, width: int, height: int, ascii_only: bool) -> list[Line]:
    """Lay out the screen: never more lines than `height`; the curve and the events take what is left by the rest."""
    head = _head(view, now, width)
    figures = [line for line in (_progress(view, width, ascii_only), _machine(view)) if line]
    cost = [_cost(view, width, ascii_only)]
    attempts = _attempts(view)
    foot: list[Line] = [(Span("Ctrl-C lets go; the run goes on.", "dim"),)]
    left = height - len(head) - len(figures) - len(cost) - len(attempts) - len(foot)
    plot = _plot(view, width, left, ascii_only)
    events = _events(view, left - len(plot))
    lines = [*head, *figures, *plot, *cost, *attempts, *events]
    kept = [*lines[: max(0, height - len(foot))], *foot]
    return [tuple(Span(plain(span.text, ascii_only=ascii_only), span.style) for span in line) for line in kept]


def plain(text: str, *, ascii_only: bool) -> str:
    """The text as a terminal may show it: no codes of its own, one line, and only characters that it has."""
    whole = printable(text).replace("\n", " ").replace("\t", " ")
    if not ascii_only:
        return whole
    return whole.replace("…", "...").replace("\u2013", "-").encode("ascii", "replace").decode("ascii")


def progress_text(view: "RunView") -> str:
    """Step, loss, speed and cost in one line of talk."""
    progress = view.run.progress
    parts: list[str] = []
    if progress is not None:
        if progress.step is not None:
            parts.append(f"step {progress.step:,}" + _of(progress.total_steps))
        if progress.loss is not None:
            parts.append(f"loss {short_text(progress.loss)}")
        if progress.throughput is not None:
            parts.append(f"{short_text(progress.throughput)}/s")
    return ", ".join([*parts, usd_text(view.cost.accrued_usd)])


def time_left(view: "RunView") -> timedelta | None:
    """How long the rest of the steps takes at the rate of the newest ones; None when that cannot be told."""
    progress = view.run.progress
    if progress is None or progress.total_steps is None or not view.metrics:
        return None
    told = _steps(view.metrics[-1])[-_RECENT:]
    if len(told) < 2 or told[-1][0] <= told[0][0] or told[-1][1] <= told[0][1]:
        return None
    rate = (told[-1][1] - told[0][1]) / (told[-1][0] - told[0][0])
    return timedelta(seconds=max(0.0, progress.total_steps - told[-1][1]) / rate)


def _head(view: "RunView", now: datetime, width: int) -> list[Line]:
    run = view.run
    why = "" if run.reason is None else f" ({run.reason.value})"
    clock = f"{now.astimezone(UTC):%H:%M:%S} UTC"
    lasted = duration_text((run.ended_at or now) - run.created_at)
    title: Line = (
        Span(run.run_id, "bold"),
        Span(f"  {run.name}  "),
        Span(run.status.value, _STYLES.get(run.status, "bold cyan")),
        Span(f"{why}  {lasted}  "),
        Span(clock, "dim"),
    )
    message = plain(run.message, ascii_only=False)
    return [title, *((Span(line),) for line in textwrap.wrap(message, max(20, width), max_lines=3, placeholder=" …"))]


def _progress(view: "RunView", width: int, ascii_only: bool) -> Line:
    progress = view.run.progress
    step = _newest_step(view)
    if step is None:
        return (Span("Progress  ", "bold"), Span("no step has been told yet", "dim"))
    total = None if progress is None else progress.total_steps
    spans = [Span("Progress  ", "bold")]
    if total:
        spans.append(Span(bar(step / total, min(_BAR, width // 4), ascii_only=ascii_only), "cyan"))
        spans.append(Span(f" {min(100, 100 * step // total)} %  "))
    spans.append(Span(f"step {step:,}{_of(total)}"))
    speed = _last(view, "throughput")
    if speed is not None:
        spans.append(Span(f"  {short_text(speed)}/s"))
    left = time_left(view)
    if left is not None and not view.run.status.is_terminal:
        spans.append(Span(f"  {duration_text(left)} left", "dim"))
    return tuple(spans)


def _of(total: int | None) -> str:
    return "" if total is None else f" of {total:,}"


def _newest_step(view: "RunView") -> int | None:
    """The newest of what the run and its figures tell: the run hears every few minutes, the figures every few
    seconds."""
    told = [] if view.run.progress is None or view.run.progress.step is None else [view.run.progress.step]
    if view.metrics:
        told += [int(step) for _, step in _steps(view.metrics[-1])[-1:]]
    return max(told, default=None)


def _steps(history: "MetricsHistory") -> list[Point]:
    """Seconds and step of each moment at which a step was told."""
    told = {
        point.seconds: float(point.step)
        for series in history.training.values()
        for point in series.points
        if point.step is not None
    }
    return sorted(told.items())


def _last(view: "RunView", name: str) -> float | None:
    return next((each.training[name].last for each in reversed(view.metrics) if name in each.training), None)


def _plot(view: "RunView", width: int, left: int, ascii_only: bool) -> list[Line]:
    """The loss, or nothing where there is no room or no loss."""
    least, most = _PLOT_LINES
    name = loss_name(view.metrics)
    if name is None or left < least + 1:
        return []
    points = [
        (float(point.step) if point.step is not None else point.seconds, point.value)
        for history in view.metrics
        if name in history.training
        for point in history.training[name].points
        if isfinite(point.value)
    ]
    height = min(most, max(least, (left - 1) * 2 // 3))
    drawn = plot_lines(points, width=width, height=height, ascii_only=ascii_only)
    if not drawn:
        return []
    values = [value for _, value in points]
    title = (Span(f"{name}  ", "bold"), Span(f"{short_text(values[-1])}, least {short_text(min(values))}"))
    return [title, *((Span(line, "cyan"),) for line in drawn)]


def _machine(view: "RunView") -> Line:
    """How busy the newest machine is."""
    told = view.metrics[-1].machine if view.metrics else {}
    parts = [
        f"{label} {told[name].last:.0f} %"
        for label, name in (("processor", "cpu_percent"), ("memory", "memory_percent"), ("disk", "disk_percent"))
        if name in told
    ]
    gpus = sorted(name for name in told if name.startswith("gpu") and name.split("_", 1)[1] == "percent")
    for name in gpus[:4]:
        memory = told.get(name.replace("_percent", "_memory_percent"))
        held = "" if memory is None else f" (memory {memory.last:.0f} %)"
        parts.append(f"GPU {name[3:].split('_')[0]} {told[name].last:.0f} %{held}")
    if len(gpus) > 4:
        parts.append(f"{len(gpus) - 4} more GPUs")
    return (Span("Machine   ", "bold"), Span(", ".join(parts))) if parts else ()


def _cost(view: "RunView", width: int, ascii_only: bool) -> Line:
    cost, limit = view.cost, view.run.spec.max_cost_usd
    spans = [Span("Cost      ", "bold")]
    if limit is not None:
        share = float(cost.accrued_usd / limit)
        style = "red" if share >= 0.8 else "cyan"
        spans.append(Span(bar(share, min(_BAR, width // 4), ascii_only=ascii_only), style))
        spans.append(Span(f" {share * 100:.0f} %  {usd_text(cost.accrued_usd)} of {usd_text(limit)}"))
    else:
        spans.append(Span(usd_text(cost.accrued_usd)))
    rates = [usd_per_hour(attempt) for attempt in view.attempts if attempt.owns_live_machine]
    known = [rate for rate in rates if rate is not None]
    if known:
        spans.append(Span(f"  {usd_text(sum(known[1:], known[0]))} an hour", "dim"))
    if not cost.is_complete:
        spans.append(Span("  (a machine's price is not known)", "dim"))
    return tuple(spans)


def _attempts(view: "RunView") -> list[Line]:
    shown = view.attempts[-_ATTEMPTS:]
    lines: list[Line] = []
    for attempt in shown:
        machine = " ".join(part for part in (attempt.instance_type, attempt.availability_zone) if part)
        option = "" if attempt.purchase_option is None else f" {attempt.purchase_option.value}"
        title = "Attempts  " if attempt is shown[0] else " " * 10
        how, style = _how(attempt)
        since = attempt.launched_at or attempt.created_at
        lasted = duration_text((attempt.ended_at or view.read_at) - since)
        text = f"{attempt.number}  {machine or 'no machine yet'}{option}  {lasted}  "
        lines.append((Span(title, "bold"), Span(text), Span(how, style)))
    return lines


def _how(attempt: "Attempt") -> tuple[str, str]:
    if attempt.reason is not None:
        return attempt.reason.value, "dim"
    return ("being taken back", "yellow") if attempt.is_draining else ("", "")


def _events(view: "RunView", room: int) -> list[Line]:
    """The newest events, as many as there is room for, the newest last."""
    if room < 2 or not view.events:
        return []
    shown: Sequence[tuple[str, str]] = [
        (f"{event.at.astimezone(UTC):%H:%M:%S}", event.text) for event in view.events[-(room - 1) :]
    ]
    return [(Span("Events", "bold"),), *((Span(f"{clock}  ", "dim"), Span(text)) for clock, text in shown)]
