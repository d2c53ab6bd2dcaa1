"""Whichever comes first, an event or the token of the state that waits for it: the run goes on, once.

The step's function or the events' is held back, so that each order is what happens and not what may. All orders of
several events, and events in the midst of a step, are in `tests/controller/test_orders.py`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from runctl.model.agent_event import AgentEventKind
from runctl.model.attempt import FactKind, Wait
from runctl.model.base import iso
from runctl.model.names import Function
from tests.local.runs.cloud import Cloud
from tests.local.runs.deliver import Delivery
from tests.local.runs.holding import has_token, held, wait_for_fact, wait_for_token

pytestmark = pytest.mark.local_cloud

NOTICE_S = 4.0
STEP_OF = {Wait.READY: Function.AWAIT_READY, Wait.TRAIN: Function.START_TRAINING}


@dataclass(frozen=True)
class Scene:
    """One run before a waiting state."""

    cloud: Cloud
    delivery: Delivery
    run_id: str
    machine: str


@dataclass(frozen=True)
class Case:
    """An event, and what becomes of the run that hears of it at the waiting state."""

    script: tuple[str, ...]
    happen: Callable[[Scene], None]
    fact: FactKind | None
    """None: it shows on the run, not on the attempt."""
    status: str
    reasons: tuple[str, ...]


def nothing(scene: Scene) -> None:
    """The machine itself tells it, as soon as it is heard."""


def warned(scene: Scene) -> None:
    scene.cloud.local.interrupt(scene.machine, NOTICE_S)


def gone(scene: Scene) -> None:
    scene.cloud.local.kill(scene.machine)


def stopped(scene: Scene) -> None:
    scene.cloud.runctl("cancel", scene.run_id)


def ended(exit_code: int) -> Callable[[Scene], None]:
    """The agent's last event, told before the machine has even been told to train."""

    def happen(scene: Scene) -> None:
        data = {"why": "exited", "exit_code": exit_code, "ended_at": iso(datetime.now(UTC))}
        scene.delivery.agent_event(scene.delivery.signed(scene.run_id, 1, AgentEventKind.TRAINING_ENDED, data))

    return happen


def command_failed(scene: Scene) -> None:
    command_id = scene.delivery.attempt_item(scene.run_id, 1)["command_id"]["S"]
    scene.delivery.command_failed(scene.machine, command_id)


WAITS = ("wait.py",)
SUCCEEDED = ("SUCCEEDED", ("COMPLETED",))
REPLACED = ("SUCCEEDED", ("SPOT_INTERRUPTION", "COMPLETED"))
LOST = ("SUCCEEDED", ("MACHINE_LOST", "COMPLETED"))
CANCELLED = ("CANCELLED", ("CANCELLED",))
FAILED = ("FAILED", ("USER_ERROR",))
NOT_READY = ("SUCCEEDED", ("MACHINE_NOT_READY", "COMPLETED"))

ANYWHERE = {
    "warned": Case(WAITS, warned, FactKind.WARNED, *REPLACED),
    "gone": Case(WAITS, gone, FactKind.GONE, *LOST),
    "stopped": Case(WAITS, stopped, None, *CANCELLED),
}
READY = ANYWHERE | {"ready": Case(("succeed.py",), nothing, FactKind.READY, *SUCCEEDED)}
CASES: Mapping[tuple[Wait, str], Mapping[str, Case]] = {
    (Wait.READY, "event first"): READY,
    (Wait.READY, "token first"): READY,
    (Wait.TRAIN, "event first"): ANYWHERE
    | {
        "succeeded": Case(WAITS, ended(0), FactKind.ENDED, *SUCCEEDED),
        "failed": Case(WAITS, ended(3), FactKind.ENDED, *FAILED),
    },
    (Wait.TRAIN, "token first"): ANYWHERE
    | {
        "succeeded": Case(("succeed.py",), nothing, None, *SUCCEEDED),
        "failed": Case(("fail.py",), nothing, None, *FAILED),
        "command failed": Case(WAITS, command_failed, FactKind.COMMAND_FAILED, *NOT_READY),
    },
}


class Rehearsal:
    """All cases of a waiting state and an order at once, each a run of its own."""

    def __init__(self, cloud: Cloud, wait: Wait, order: str) -> None:
        self._cloud, self._delivery = cloud, Delivery(cloud)
        self._wait, self._cases = wait, CASES[wait, order]
        self.scenes: dict[str, Scene] = {}
        self.had_token: dict[str, bool] = {}
        """Whether the token was stored when the event was told."""
        (self._event_first if order == "event first" else self._token_first)()

    def ended_run(self, name: str) -> dict[str, Any]:
        """Wait for the end of a case's run."""
        return self._cloud.wait_for_end(self.scenes[name].run_id)

    def _event_first(self) -> None:
        with held(self._delivery, self._cloud, STEP_OF[self._wait]):
            self._submit()
            self._happen()

    def _token_first(self) -> None:
        with ExitStack() as until_told:
            if self._wait is Wait.READY:
                until_told.enter_context(held(self._delivery, self._cloud, Function.OBSERVE_AGENT))
                self._submit()
            else:
                with held(self._delivery, self._cloud, Function.START_TRAINING):
                    self._submit()
                    until_told.enter_context(held(self._delivery, self._cloud, Function.OBSERVE_AGENT))
                for scene in self.scenes.values():
                    self._cloud.wait_for_event(scene.run_id, "command_sent")
            for scene in self.scenes.values():
                wait_for_token(self._delivery, self._cloud, scene.run_id, self._wait)
            self._happen()

    def _submit(self) -> None:
        """Start a run for each case, and wait until its machine is there; before `Train`, until it is ready."""
        started = {name: self._cloud.train(*case.script, options=("--spot",)) for name, case in self._cases.items()}
        for name, run_id in started.items():
            machine = self._cloud.machine_in_state(run_id, "running")
            self.scenes[name] = Scene(self._cloud, self._delivery, run_id, machine)
            if self._wait is Wait.TRAIN:
                wait_for_fact(self._delivery, self._cloud, run_id, FactKind.READY)

    def _happen(self) -> None:
        """Let every case's event happen, and wait until it is written where the state will look for it."""
        for name, scene in self.scenes.items():
            self._cases[name].happen(scene)
        for name, scene in self.scenes.items():
            fact = self._cases[name].fact
            if fact is not None and not (fact is FactKind.READY and self._is_held(Function.OBSERVE_AGENT)):
                wait_for_fact(self._delivery, self._cloud, scene.run_id, fact)
            self.had_token[name] = has_token(self._delivery, scene.run_id, self._wait)

    def _is_held(self, function: Function) -> bool:
        name = self._delivery.function(function)
        answer = self._cloud.client("lambda").get_function_concurrency(FunctionName=name)
        return answer.get("ReservedConcurrentExecutions") == 0


@pytest.fixture(scope="module")
def rehearsed(cloud: Cloud) -> Callable[[Wait, str], Rehearsal]:
    """Rehearse each waiting state and order once."""
    return cache(lambda wait, order: Rehearsal(cloud, wait, order))


@pytest.mark.parametrize(
    ("wait", "order", "name"),
    [(wait, order, name) for (wait, order), cases in CASES.items() for name in cases],
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_the_run_goes_on_once_in_either_order(
    cloud: Cloud, rehearsed: Callable[[Wait, str], Rehearsal], wait: Wait, order: str, name: str
) -> None:
    case, rehearsal = CASES[wait, order][name], rehearsed(wait, order)

    run = rehearsal.ended_run(name)

    assert rehearsal.had_token[name] is (order == "token first")
    assert run["status"] == case.status, cloud.story(run["run_id"])
    assert tuple(attempt["reason"] for attempt in run["attempts"]) == case.reasons, cloud.story(run["run_id"])
    told = Counter((event["kind"], event["attempt"]) for event in cloud.events(run["run_id"]))
    assert {told[kind, number] for kind in ("attempt_ended", "concluded") for number in (1, None)} <= {0, 1}
