"""Looking at a run again and again."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from runctl.client.watching import LOOKS_S, PATIENCE_S
from runctl.errors import AwsUnavailable, NotFoundError
from runctl.model import keys
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.price import PriceStep
from runctl.model.run import PurchaseOption
from runctl.model.status import Reason, RunStatus
from tests.client.deployment import NOW, MemoryDeployment, a_run, an_attempt

RUN = RunId("r-1hx3k7pabcde")
STREAM = keys.metrics_stream(RUN, AttemptNumber(1))


def _ended() -> object:
    return a_run(status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED, ended_at=NOW, version=3)


def _loss(value: float) -> str:
    return json.dumps({"kind": "training", "step": 1, "values": {"loss": value}})


def test_views_end_with_the_run_and_two_seconds_lie_between_them() -> None:
    deployment = MemoryDeployment()
    deployment.add(a_run(), an_attempt())
    deployment.runs.script = [a_run(), a_run(message="x"), _ended()]

    views = list(deployment.client().watch(RUN))

    assert [view.run.status for view in views] == [RunStatus.RUNNING, RunStatus.RUNNING, RunStatus.SUCCEEDED]
    assert deployment.slept_s == [LOOKS_S, LOOKS_S]


def test_figures_grow_and_no_event_of_the_stream_is_counted_twice() -> None:
    deployment = MemoryDeployment()
    deployment.add(a_run(), an_attempt())
    deployment.runs.script = [a_run(), a_run(), _ended()]
    deployment.logs.streams[STREAM] = [_loss(0.5)]
    deployment.logs.growth[STREAM] = [[], [], [_loss(0.25), _loss(0.125)]]

    views = list(deployment.client().watch(RUN))

    assert [view.metrics[0].training["loss"].count for view in views] == [1, 1, 3]
    assert views[-1].metrics[0].training["loss"].min == 0.125


def test_attempt_that_has_ended_is_read_once_more_and_then_never() -> None:
    deployment = MemoryDeployment()
    deployment.add(a_run(), an_attempt(ended_at=NOW))
    deployment.runs.script = [a_run(), a_run(), _ended()]
    deployment.logs.growth[STREAM] = [[_loss(0.5)], [], [_loss(0.25)]]

    views = list(deployment.client().watch(RUN))

    assert views[-1].metrics[0].training["loss"].count == 1


def test_watching_goes_on_through_disturbances_and_not_for_ever() -> None:
    deployment = MemoryDeployment()
    deployment.add(a_run(), an_attempt())
    deployment.runs.script = [AwsUnavailable("slow"), _ended()]

    assert [view.run.status for view in deployment.client().watch(RUN)] == [RunStatus.SUCCEEDED]

    deployment.runs.script = [AwsUnavailable("slow")] * 1_000
    deployment.slept_s.clear()
    with pytest.raises(AwsUnavailable):
        list(deployment.client().watch(RUN))
    assert sum(deployment.slept_s) == PATIENCE_S


def test_run_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(NotFoundError):
        list(MemoryDeployment().client().watch(RUN))


def test_spot_prices_are_asked_once_a_minute_and_hold_between() -> None:
    deployment = MemoryDeployment()
    deployment.add(a_run(), an_attempt(purchase_option=PurchaseOption.SPOT))
    deployment.runs.script = [a_run(), a_run(), a_run(), _ended()]
    deployment.catalogue.moved = [PriceStep(since=NOW - timedelta(hours=1), usd_per_hour=Decimal(60))]
    moments = iter([NOW, NOW + timedelta(seconds=2), NOW + timedelta(seconds=60), NOW + timedelta(seconds=62)])

    costs = []
    for view in deployment.client(now=lambda: next(moments)).watch(RUN):
        costs.append(round(view.cost.accrued_usd))
        deployment.catalogue.moved = [PriceStep(since=NOW - timedelta(hours=1), usd_per_hour=Decimal(600))]

    assert costs == [4, 4, 50, 50]
