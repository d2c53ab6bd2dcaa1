"""The figures of a run over time: from what its machines left in the bucket, else from their streams."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Final

from pydantic import ValidationError

from runctl.aws.results import LeftHistory
from runctl.aws.training_log import LogLine
from runctl.client.deployment import Deployment
from runctl.model import keys
from runctl.model.attempt import Attempt
from runctl.model.history import MetricPoint, MetricSeries, MetricsHistory, MetricsSample
from runctl.model.ids import AttemptNumber, RunId

POINTS: Final = 500
"""Points of a series, as in what a machine leaves."""


def run_metrics(deployment: Deployment, run_id: RunId, attempts: Sequence[Attempt]) -> tuple[MetricsHistory, ...]:
    """The histories of the attempts that have one, in their order. A machine leaves its own at the end; the figures of
    one that has not ended, or that ended without a word, are read from its stream."""
    left = _written_by_its_machine(deployment.results.histories(run_id), attempts)
    found: list[MetricsHistory] = []
    for attempt in attempts:
        history = left.get(attempt.number) or live_metrics(deployment, run_id, attempt.number)
        if history is not None:
            found.append(history)
    return tuple(found)


def live_metrics(deployment: Deployment, run_id: RunId, number: AttemptNumber) -> MetricsHistory | None:
    """Read an attempt's stream; None when there is nothing in it yet."""
    return history_of(_lines(deployment, keys.metrics_stream(run_id, number)), run_id, number)


def history_of(lines: Iterable[LogLine], run_id: RunId, number: AttemptNumber) -> MetricsHistory | None:
    """Put the events of a stream together; what is no event of ours is passed over."""
    began_ms: int | None = None
    last_ms = 0
    samples: dict[str, dict[str, list[MetricPoint]]] = {"training": {}, "machine": {}}
    for line in lines:
        try:
            sample = MetricsSample.model_validate_json(line.text)
        except ValidationError:
            continue
        began_ms = line.at_ms if began_ms is None else began_ms
        last_ms = max(last_ms, line.at_ms)
        for name, value in sample.values.items():
            point = MetricPoint(seconds=(line.at_ms - began_ms) / 1000, step=sample.step, value=value)
            samples[sample.kind].setdefault(name, []).append(point)
    if began_ms is None:
        return None
    kinds = {kind: {name: _series(points) for name, points in series.items()} for kind, series in samples.items()}
    return MetricsHistory(
        run_id=run_id,
        attempt=number,
        began_at=datetime.fromtimestamp(began_ms / 1000, UTC),
        seconds=(last_ms - began_ms) / 1000,
        training=kinds["training"],
        machine=kinds["machine"],
    )


def _lines(deployment: Deployment, stream: str) -> Iterator[LogLine]:
    token: str | None = None
    for _ in count():
        page = deployment.logs.page(stream, token)
        if not page.lines:
            return
        yield from page.lines
        token = page.next_token


def _series(points: Sequence[MetricPoint]) -> MetricSeries:
    values = [point.value for point in points]
    return MetricSeries(
        count=len(values), last=values[-1], min=min(values), max=max(values), points=tuple(_means(points))
    )


def _means(points: Sequence[MetricPoint]) -> Iterator[MetricPoint]:
    width = -(-len(points) // POINTS)
    for start in range(0, len(points), width):
        group = points[start : start + width]
        last = group[-1]
        yield MetricPoint(seconds=last.seconds, step=last.step, value=sum(point.value for point in group) / len(group))


def _written_by_its_machine(
    histories: Iterable[LeftHistory], attempts: Iterable[Attempt]
) -> dict[AttemptNumber, MetricsHistory]:
    machine_of = {attempt.number: attempt.instance_id for attempt in attempts}
    return {
        left.history.attempt: left.history
        for left in histories
        if machine_of.get(left.history.attempt) == left.instance_id
    }
