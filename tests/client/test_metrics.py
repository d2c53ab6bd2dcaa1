"""A run's figures over time: what its machines left, and the streams of those that have not ended."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from runctl.aws.results import LeftHistory
from runctl.client.metrics import POINTS
from runctl.model import keys
from runctl.model.history import MetricsHistory
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from tests.client.deployment import NOW, MemoryDeployment, a_run, an_attempt

RUN = RunId("r-1hx3k7pabcde")


def _history(number: int, loss: float) -> MetricsHistory:
    series = {"count": 1, "last": loss, "min": loss, "max": loss, "points": [[0.0, 7, loss]]}
    document = {"run_id": RUN, "attempt": number, "began_at": NOW, "seconds": 5.0, "training": {"loss": series}}
    return MetricsHistory.model_validate(document)


def _deployment(attempts: int) -> MemoryDeployment:
    deployment = MemoryDeployment()
    machines = [an_attempt(RUN, number, instance_id=InstanceId(f"i-{number}")) for number in range(1, attempts + 1)]
    deployment.add(a_run(RUN, attempt=AttemptNumber(attempts)), *machines)
    return deployment


def _stream(deployment: MemoryDeployment, number: int, *events: Mapping[str, Any] | str) -> None:
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    deployment.logs.streams[keys.metrics_stream(RUN, AttemptNumber(number))] = lines


def test_ended_attempts_history_is_what_its_machine_left_and_a_running_ones_is_read_from_its_stream() -> None:
    deployment = _deployment(2)
    deployment.results.measured = [LeftHistory(InstanceId("i-1"), _history(1, 0.5))]
    _stream(
        deployment,
        2,
        {"kind": "training", "step": 10, "values": {"loss": 0.5}},
        {"kind": "machine", "values": {"cpu_percent": 40.0}},
        {"kind": "training", "step": 20, "values": {"loss": 0.25}},
    )

    first, second = deployment.client().metrics(RUN)

    assert (first.attempt, first.training["loss"].last) == (1, 0.5)
    loss = second.training["loss"]
    assert (loss.count, loss.last, loss.min, loss.max) == (2, 0.25, 0.25, 0.5)
    assert [(point.seconds, point.step) for point in loss.points] == [(0.0, 10), (2.0, 20)]
    assert (second.seconds, second.machine["cpu_percent"].last) == (2.0, 40.0)
    assert NOW - second.began_at > timedelta(days=1)  # the first event's time, not ours


def test_history_that_another_machine_put_there_is_not_taken() -> None:
    deployment = _deployment(1)
    deployment.results.measured = [LeftHistory(InstanceId("i-9"), _history(1, 0.5))]

    assert deployment.client().metrics(RUN) == ()


def test_run_that_has_said_nothing_yet_has_no_figures() -> None:
    assert _deployment(1).client().metrics(RUN) == ()


def test_what_else_stands_in_the_stream_is_passed_over() -> None:
    deployment = _deployment(1)
    _stream(
        deployment, 1, "hello", '{"kind": "other", "values": {}}', {"kind": "machine", "values": {"cpu_percent": 1.0}}
    )

    (history,) = deployment.client().metrics(RUN)

    assert history.machine["cpu_percent"].count == 1


def test_long_stream_is_put_together_in_few_points() -> None:
    deployment = _deployment(1)
    _stream(
        deployment,
        1,
        *({"kind": "training", "step": step, "values": {"loss": float(step)}} for step in range(3 * POINTS + 1)),
    )

    (history,) = deployment.client().metrics(RUN)

    loss = history.training["loss"]
    assert len(loss.points) <= POINTS
    assert loss.points[-1].step == 3 * POINTS
    assert loss.points[0].value == 1.5
