"""The figures of an attempt over time: what an agent leaves in the bucket at the end, and writes to its stream."""

from typing import Annotated, Literal, cast

from pydantic import Field, model_validator

from runctl.model.base import UtcDatetime, WireModel
from runctl.model.ids import AttemptNumber, RunId


class MetricPoint(WireModel):
    """The mean of the samples about one moment. Written as `[seconds, step, value]`."""

    seconds: float
    """Since the history began."""
    step: int | None = None
    value: float

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, found: object) -> object:
        if not isinstance(found, list):
            return found
        seconds, step, value, *_ = [*cast("list[object]", found), None, None, None]
        return {"seconds": seconds, "step": step, "value": value}


class MetricSeries(WireModel):
    """One figure. `points` are at most 500, however long the attempt was; the rest is of all samples."""

    count: int
    last: float
    min: float
    max: float
    points: Annotated[tuple[MetricPoint, ...], Field(max_length=10_000)]


class MetricsHistory(WireModel):
    """`…/metrics.json` in the bucket, beside `checkpoints/`."""

    version: Literal[1] = 1
    run_id: RunId
    attempt: AttemptNumber
    began_at: UtcDatetime
    seconds: float
    """How long it is."""
    training: dict[str, MetricSeries] = {}
    """What the training said, under its own names: `loss`, `val/accuracy`, …"""
    machine: dict[str, MetricSeries] = {}
    """`cpu_percent`, `memory_percent`, `disk_percent`, `network_in_mib_s`, `network_out_mib_s`, and for each GPU
    `gpu0_percent`, `gpu0_memory_percent`, `gpu0_temperature_c`, `gpu0_power_w`; those that the machine told."""


class MetricsSample(WireModel):
    """One event of the metrics stream; its time is the event's."""

    kind: Literal["training", "machine"]
    step: int | None = None
    values: dict[str, float]
