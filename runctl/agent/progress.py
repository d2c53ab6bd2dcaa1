"""The training's figures: from its metrics file (JSON lines), or from what its log says."""

import json
import math
import re
import threading
from dataclasses import asdict, dataclass
from typing import Any, cast

from runctl.agent.run_log import PREFIX, LineReader

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_STEP = re.compile(r"\b(?:global_)?step[ :=]+(\d+)(?:\s*(?:/|of)\s*(\d+))?", re.IGNORECASE)
_LOSS = re.compile(rf"\b(?:train_)?loss[ :=]+({_NUMBER})", re.IGNORECASE)
_THROUGHPUT = re.compile(rf"({_NUMBER})\s*(?:samples|examples|images|tokens|it|steps)/s(?:ec)?\b", re.IGNORECASE)


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


class Progress:
    """Follows both files; once the metrics file has a line, the log is not asked any more."""

    def __init__(self, metrics: LineReader, log: LineReader) -> None:
        self._metrics = metrics
        self._log = log
        self._from_metrics = False
        self._lock = threading.Lock()
        self._figures = Figures()

    def read(self) -> Figures:
        """Read what is new; answers the last that is known of each figure."""
        with self._lock:
            self._read()
            return self._figures

    def _read(self) -> None:
        while lines := self._metrics.read():
            for found in filter(None, map(figures_of_metrics, lines)):
                self._from_metrics = True
                self._figures = _newer(self._figures, found)
        while lines := self._log.read():
            for line in lines:
                if not self._from_metrics and not line.startswith(PREFIX):
                    self._figures = _newer(self._figures, figures_of_log(line))


def figures_of_metrics(line: str) -> Figures | None:
    """Read one line of the metrics file; None when it is not a JSON object."""
    try:
        document: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    fields = cast("dict[str, Any]", document)
    return Figures(
        _whole(fields.get("step")),
        _whole(fields.get("total_steps")),
        _real(fields.get("loss")),
        _real(fields.get("throughput")),
    )


def figures_of_log(line: str) -> Figures:
    """Look for `step 10/100`, `loss=0.5` and `120 samples/s` in a line of the log."""
    step = _STEP.search(line)
    loss = _LOSS.search(line)
    throughput = _THROUGHPUT.search(line)
    return Figures(
        int(step[1]) if step else None,
        int(step[2]) if step and step[2] else None,
        _real(float(loss[1])) if loss else None,
        _real(float(throughput[1])) if throughput else None,
    )


def _newer(old: Figures, new: Figures) -> Figures:
    return Figures(
        old.step if new.step is None else new.step,
        old.total_steps if new.total_steps is None else new.total_steps,
        old.loss if new.loss is None else new.loss,
        old.throughput if new.throughput is None else new.throughput,
    )


def _whole(value: Any) -> int | None:
    number = _real(value)
    return None if number is None else int(number)


def _real(value: Any) -> float | None:
    """A finite number; JSON of Python's own holds NaN, and True is not a figure."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
