"""The training's figures: from its metrics file (JSON lines), its TensorBoard files, or what its log says."""

import json
import math
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, cast

from runctl.agent.log_figures import figures_of_log
from runctl.agent.run_log import PREFIX, LineReader, as_terminal
from runctl.agent.tensorboard import Scalar

POINTS_KEPT = 1_000
"""Points that nobody has taken yet; older ones are dropped."""

FIELDS = 32
NAME_CHARACTERS = 64


@dataclass(frozen=True)
class Figures:
    """The last that is known of each."""

    step: int | None = None
    total_steps: int | None = None
    loss: float | None = None
    throughput: float | None = None

    def data(self, at: str) -> dict[str, Any]:
        """The data of a `Progress` event."""
        return {"at": at, **asdict(self)}


@dataclass(frozen=True)
class Point:
    """What the training said at a moment."""

    step: int | None
    values: Mapping[str, float]


class Boards(Protocol):
    """TensorBoard's event files."""

    def read(self) -> list[Scalar]:
        """Read what is new."""
        ...


class Progress:
    """Follows all three. Once the metrics file has a line nothing else is asked, and the log not once there is an event
    file: the first that the user writes on purpose is what is meant."""

    def __init__(self, metrics: LineReader, log: LineReader, boards: Boards) -> None:
        self._metrics = metrics
        self._log = log
        self._boards = boards
        self._has_metrics = self._has_boards = False
        self._figures = Figures()
        self._points: deque[Point] = deque(maxlen=POINTS_KEPT)
        self._lock = threading.Lock()

    def read(self) -> Figures:
        """Read what is new; answers the last that is known of each figure."""
        with self._lock:
            self._read()
            return self._figures

    def take(self) -> list[Point]:
        """Read what is new; answers what came since the last call."""
        with self._lock:
            self._read()
            points = list(self._points)
            self._points.clear()
            return points

    def _read(self) -> None:
        while lines := self._metrics.read():
            for line in lines:
                if (point := point_of_metrics(line)) is not None:
                    self._has_metrics = True
                    self._note(point)
        # What is not listened to is read all the same, so that it does not grow into a heap.
        for point in points_of_boards(self._boards.read()):
            self._has_boards = True
            if not self._has_metrics:
                self._note(point)
        while lines := self._log.read():
            for line in lines:
                if self._has_metrics or self._has_boards or line.startswith(PREFIX):
                    continue
                if found := figures_of_log(as_terminal(line)):
                    self._note(_point(found))

    def _note(self, point: Point) -> None:
        known = self._figures
        total = point.values.get("total_steps")
        self._figures = Figures(
            known.step if point.step is None else point.step,
            known.total_steps if total is None else int(total),
            point.values.get(_loss_name(point.values), known.loss),
            point.values.get("throughput", known.throughput),
        )
        self._points.append(point)


def point_of_metrics(line: str) -> Point | None:
    """Read one line of the metrics file; None when it is not a JSON object."""
    try:
        document: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    fields = cast("dict[str, Any]", document)
    return _point({name: value for name, value in fields.items() if _is_number(value)})


def points_of_boards(scalars: Iterable[Scalar]) -> list[Point]:
    """Put the tags of each step together, in the order in which the steps came."""
    by_step: dict[int, dict[str, float]] = {}
    for scalar in scalars:
        by_step.setdefault(scalar.step, {})[scalar.tag] = scalar.value
    return [_point({**values, "step": step}) for step, values in by_step.items()]


def _point(found: Mapping[str, float]) -> Point:
    step = found.get("step", found.get("global_step"))
    named = {name[:NAME_CHARACTERS]: float(value) for name, value in found.items() if name != "step"}
    return Point(None if step is None else int(step), dict(list(named.items())[:FIELDS]))


def _loss_name(values: Mapping[str, float]) -> str:
    """Which of the values is the training's loss, whatever it is called; not one of validation."""
    for name in ("loss", "train_loss", "train/loss", "loss/train", "Loss/train", "training_loss"):
        if name in values:
            return name
    own = (name for name in values if "loss" in name.lower() and not any(word in name.lower() for word in _NOT_OWN))
    return next(own, "loss")


_NOT_OWN = ("val", "eval", "test")


def _is_number(value: Any) -> bool:
    """A finite number; JSON of Python's own holds NaN, and True is not a figure."""
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
