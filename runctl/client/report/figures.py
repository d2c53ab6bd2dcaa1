"""The charts of a report: what its trainings said, and how busy their machines were."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from runctl.client.metrics import training_names
from runctl.client.report.charts import Curve, Mark, Point, chart
from runctl.client.report.markup import Html, tag
from runctl.client.report.record import RunRecord
from runctl.model.history import MetricSeries, MetricsHistory

_NOT_CURVES: Final = frozenset({"total_steps", "step"})
"""Said with the figures, and the same or a straight line all the time."""

_MOST_CHARTS: Final = 40
"""Figures that are drawn; a training may tell hundreds."""

_GPU: Final = re.compile(r"gpu(\d+)_(\w+)")

_MACHINE: Final = (
    ("Processor, memory and disk in use (%)", ("cpu_percent", "memory_percent", "disk_percent"), True),
    ("Network (MiB a second)", ("network_in_mib_s", "network_out_mib_s"), False),
)
_GPUS: Final = (
    ("GPUs in use (%)", "percent", True),
    ("GPU memory in use (%)", "memory_percent", True),
    ("GPU temperature (°C)", "temperature_c", False),
    ("GPU power (W)", "power_w", False),
)
_LABELS: Final = {
    "cpu_percent": "processor",
    "memory_percent": "memory",
    "disk_percent": "disk",
    "network_in_mib_s": "in",
    "network_out_mib_s": "out",
}


def training_charts(records: Sequence[RunRecord]) -> list[Html]:
    """A chart for each figure that a training told, the losses first, and one of the steps; a curve each run."""
    drawn: list[Html | None] = []
    names = _drawn_names(records)
    for name in names[:_MOST_CHARTS]:
        by_step = all(_has_steps(series) for record in records for series in _told(record, name))
        curves = [
            Curve(_run_label(record, records), _segments(record, name, by_step=by_step), tone)
            for tone, record in enumerate(records)
        ]
        marks = _marks(records, by_step=by_step)
        is_loss = "loss" in name.lower()
        drawn.append(chart(name, curves, over_time=not by_step, marks=marks, may_be_log=is_loss))
    steps = [Curve(_run_label(record, records), _step_segments(record), tone) for tone, record in enumerate(records)]
    drawn.append(chart("Steps", steps, over_time=True, marks=_marks(records, by_step=False)))
    charts = [each for each in drawn if each is not None]
    if len(names) > _MOST_CHARTS:
        left_out = ", ".join(names[_MOST_CHARTS:])
        charts.append(tag("p", f"Not drawn, for there are many: {left_out}.", class_="note"))
    return charts


def machine_charts(record: RunRecord) -> list[Html]:
    """How busy processor, memory, disk, network and GPUs were."""
    marks = _marks([record], by_step=False)
    told = sorted({name for history in record.metrics for name in history.machine})
    drawn: list[Html | None] = []
    for title, names, percent in _MACHINE:
        curves = [Curve(_LABELS[name], _machine_segments(record, name), tone) for tone, name in enumerate(names)]
        drawn.append(chart(title, curves, over_time=True, marks=marks, percent=percent))
    for title, what, percent in _GPUS:
        gpus = sorted(int(found[1]) for name in told if (found := _GPU.fullmatch(name)) and found[2] == what)
        curves = [Curve(f"GPU {gpu}", _machine_segments(record, f"gpu{gpu}_{what}"), gpu) for gpu in gpus]
        drawn.append(chart(title, curves, over_time=True, marks=marks, percent=percent))
    return [each for each in drawn if each is not None]


def last_of(record: RunRecord, name: str) -> float | None:
    """The figure as it was told last."""
    told = _told(record, name)
    return told[-1].last if told else None


def least_of(record: RunRecord, name: str) -> float | None:
    """The least that the figure ever was."""
    return min((series.min for series in _told(record, name)), default=None)


def mean_of(record: RunRecord, name: str) -> float | None:
    """The figure's mean over all machines."""
    told = _told(record, name)
    count = sum(len(series.points) for series in told)
    return sum(point.value for series in told for point in series.points) / count if count else None


def _drawn_names(records: Sequence[RunRecord]) -> list[str]:
    return [name for name in training_names(all_metrics(records)) if name not in _NOT_CURVES]


def all_metrics(records: Sequence[RunRecord]) -> list[MetricsHistory]:
    """The figures of all the runs' attempts."""
    return [history for record in records for history in record.metrics]


def _told(record: RunRecord, name: str) -> list[MetricSeries]:
    return [history.training[name] for history in record.metrics if name in history.training]


def _has_steps(series: MetricSeries) -> bool:
    return all(point.step is not None for point in series.points)


def _segments(record: RunRecord, name: str, *, by_step: bool) -> tuple[tuple[Point, ...], ...]:
    return tuple(
        tuple(
            (float(point.step or 0) if by_step else _since(record, history) + point.seconds, point.value)
            for point in history.training[name].points
        )
        for history in record.metrics
        if name in history.training
    )


def _machine_segments(record: RunRecord, name: str) -> tuple[tuple[Point, ...], ...]:
    return tuple(
        tuple((_since(record, history) + point.seconds, point.value) for point in history.machine[name].points)
        for history in record.metrics
        if name in history.machine
    )


def _step_segments(record: RunRecord) -> tuple[tuple[Point, ...], ...]:
    return tuple(_steps(history, _since(record, history)) for history in record.metrics)


def _steps(history: MetricsHistory, since: float) -> tuple[Point, ...]:
    points = {
        since + point.seconds: float(point.step)
        for series in history.training.values()
        for point in series.points
        if point.step is not None
    }
    return tuple(sorted(points.items()))


def _since(record: RunRecord, history: MetricsHistory) -> float:
    return (history.began_at - record.began_at).total_seconds()


def _marks(records: Sequence[RunRecord], *, by_step: bool) -> list[Mark]:
    """Where another machine took over; of several runs nothing, it would be a thicket."""
    if len(records) != 1:
        return []
    (record,) = records
    attempts = {attempt.number: attempt for attempt in record.attempts}
    place: Callable[[MetricsHistory], float | None] = (
        _first_step if by_step else lambda history: _since(record, history)
    )
    marks: list[Mark] = []
    for history in record.metrics[1:]:
        x = place(history)
        attempt = attempts.get(history.attempt)
        machine = "" if attempt is None else f" on {attempt.instance_type} in {attempt.availability_zone}"
        if x is not None:
            marks.append(Mark(x, f"attempt {history.attempt}{machine}"))
    return marks


def _first_step(history: MetricsHistory) -> float | None:
    steps = [point.step for series in history.training.values() for point in series.points if point.step is not None]
    return float(min(steps)) if steps else None


def _run_label(record: RunRecord, records: Sequence[RunRecord]) -> str:
    if len(records) == 1:
        return "all attempts" if len(record.metrics) > 1 else "attempt 1"
    return f"{record.run.name} ({record.run.run_id})"
