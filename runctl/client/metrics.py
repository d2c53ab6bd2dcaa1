"""The figures of a run over time: from what its machines left in the bucket, else from their streams."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Final

from pydantic import ValidationError

from runctl.aws.results import LeftHistory
from runctl.aws.training_log import LogLine
from runctl.client.deployment import Deployment, TrainingLogs
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
    reader = MetricsReader(deployment.logs, run_id, number)
    reader.read_on()
    return reader.history


class MetricsReader:
    """Reads one attempt's stream, each event once."""

    def __init__(self, logs: TrainingLogs, run_id: RunId, number: AttemptNumber) -> None:
        self._logs = logs
        self._run_id = run_id
        self._number = number
        self._token: str | None = None
        self._began_ms: int | None = None
        self._last_ms = 0
        self._samples: dict[str, dict[str, list[MetricPoint]]] = {"training": {}, "machine": {}}
        self.history: MetricsHistory | None = None
        """What was read so far; None when there was nothing."""

    def read_on(self) -> None:
        """Read what is new in the stream."""
        for _ in count():
            page = self._logs.page(keys.metrics_stream(self._run_id, self._number), self._token)
            self._token = page.next_token
            if not page.lines:
                return
            self._add(page.lines)

    def _add(self, lines: Iterable[LogLine]) -> None:
        """Put the events among the others; what is no event of ours is passed over."""
        for line in lines:
            try:
                sample = MetricsSample.model_validate_json(line.text)
            except ValidationError:
                continue
            self._began_ms = line.at_ms if self._began_ms is None else self._began_ms
            self._last_ms = max(self._last_ms, line.at_ms)
            for name, value in sample.values.items():
                point = MetricPoint(seconds=(line.at_ms - self._began_ms) / 1000, step=sample.step, value=value)
                self._samples[sample.kind].setdefault(name, []).append(point)
        if self._began_ms is None:
            return
        kinds = {
            kind: {name: _series(points) for name, points in series.items()} for kind, series in self._samples.items()
        }
        self.history = MetricsHistory(
            run_id=self._run_id,
            attempt=self._number,
            began_at=datetime.fromtimestamp(self._began_ms / 1000, UTC),
            seconds=(self._last_ms - self._began_ms) / 1000,
            training=kinds["training"],
            machine=kinds["machine"],
        )


def training_names(histories: Iterable[MetricsHistory]) -> list[str]:
    """What the trainings told, by name: the loss first, then other losses, then the speed, then the rest."""
    return sorted({name for history in histories for name in history.training}, key=_weight)


def loss_name(histories: Iterable[MetricsHistory]) -> str | None:
    """The figure that is the loss, where there is one."""
    return next((name for name in training_names(histories) if "loss" in name.lower()), None)


def _weight(name: str) -> tuple[int, str]:
    low = name.lower()
    if low in {"loss", "train_loss", "train/loss", "loss/train", "training_loss"}:
        return 0, name
    if "loss" in low:
        return 1, name
    return (2 if low == "throughput" else 3), name


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
