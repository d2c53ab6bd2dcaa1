"""The simulation's interpreter and the local target do the same with the same machines: the simulation stands on it."""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.chaos.interpreter import Execution, TaskFailed, Tokens, refused
from tests.chaos.loop import Loop
from tests.local.emulator.services import Services

pytestmark = pytest.mark.local_cloud

CAUGHT = {"Caught": {"Type": "Succeed"}}
FAILED = {"Failed": {"Type": "Fail", "ErrorPath": "$.name", "CausePath": "$.why"}}


@dataclass(frozen=True)
class Case:
    """A machine: its first state by function and fields, the states after it, and the input."""

    function: str
    fields: dict[str, Any]
    given: dict[str, Any]
    after: dict[str, Any]
    waits: bool = False


CASES = {
    "an answer is selected and put": Case(
        "echo", {"ResultSelector": {"n.$": "$.Payload.n"}, "ResultPath": "$.answer"}, {"n": 3}, {}
    ),
    "an answer is thrown away": Case("echo", {"ResultPath": None}, {"n": 3}, {}),
    "an error is caught by name": Case(
        "fail",
        {"Catch": [{"ErrorEquals": ["CapacityUnavailable"], "ResultPath": "$.error", "Next": "Caught"}]},
        {"kept": 1},
        CAUGHT,
    ),
    "an error is caught by all": Case(
        "fail", {"Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Caught"}]}, {}, CAUGHT
    ),
    "an error is not caught": Case("fail", {}, {}, {}),
    "a retry helps": Case(
        "fail_until",
        {
            "Retry": [
                {"ErrorEquals": ["CapacityUnavailable"], "IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 1}
            ],
            "ResultSelector": {"calls.$": "$.Payload"},
        },
        {"key": "interpreter", "failures": 2},
        {},
    ),
    "retries are used up and the error is caught": Case(
        "fail",
        {
            "Retry": [
                {"ErrorEquals": ["CapacityUnavailable"], "IntervalSeconds": 1, "MaxAttempts": 1, "BackoffRate": 1}
            ],
            "Catch": [{"ErrorEquals": ["CapacityUnavailable"], "ResultPath": "$.error", "Next": "Caught"}],
        },
        {},
        CAUGHT,
    ),
    "a missed heartbeat": Case("hold", {"HeartbeatSecondsPath": "$.beat"}, {"beat": 1}, {}, waits=True),
    "a time limit": Case("hold", {"TimeoutSecondsPath": "$.limit"}, {"limit": 1}, {}, waits=True),
    "a missed heartbeat is caught as a timeout": Case(
        "hold",
        {
            "HeartbeatSeconds": 1,
            "Catch": [{"ErrorEquals": ["States.Timeout"], "ResultPath": "$.error", "Next": "Caught"}],
        },
        {},
        CAUGHT,
        waits=True,
    ),
    "a failure is named from the data": Case("echo", {"Next": "Failed"}, {"name": "QUOTA", "why": "full"}, FAILED),
    "a choice": Case(
        "echo",
        {"Next": "Choose"},
        {"word": "yes"},
        {
            "Choose": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.missing", "IsPresent": True, "Next": "Other"},
                    {"Variable": "$.word", "StringEquals": "yes", "Next": "Caught"},
                ],
                "Default": "Other",
            },
            "Other": {"Type": "Succeed"},
            **CAUGHT,
        },
    ),
    "a wait": Case(
        "echo",
        {"Next": "Wait"},
        {"wait_s": 1},
        {"Wait": {"Type": "Wait", "SecondsPath": "$.wait_s", "Next": "Caught"}, **CAUGHT},
    ),
}


def _echo(payload: Any) -> Any:
    return payload


def _fail(_payload: Any) -> Any:
    raise TaskFailed("CapacityUnavailable", json.dumps({"errorType": "CapacityUnavailable"}))


def _functions() -> dict[str, Callable[[Any], Any]]:
    """What the local target's functions do, in as many lines."""
    calls = [0]

    def fail_until(payload: Any) -> Any:
        calls[0] += 1
        return _fail(payload) if calls[0] <= payload["failures"] else calls[0]

    return {"echo": _echo, "fail": _fail, "fail_until": fail_until, "hold": _echo}


def _interpreted(states: dict[str, Any], arns: dict[str, str], given: Any) -> dict[str, Any]:
    loop, functions, name_of = Loop(), _functions(), {arn: name for name, arn in arns.items()}
    definition = {"StartAt": "Task", "States": states}
    execution = Execution(
        definition,
        "case",
        given,
        loop=loop,
        tokens=Tokens(),
        invoke=lambda function, payload: functions[name_of[function]](payload),
        chance=random.Random(1),
    )
    assert refused(definition) == []
    execution.start()
    loop.pass_time(60)
    return {
        "status": execution.status,
        "error": execution.error,
        "entered": execution.entered,
        "output": execution.output,
        "retries": len(execution.retries),
    }


def _on_the_local_target(services: Services, states: dict[str, Any], given: Any) -> dict[str, Any]:
    ended = services.run(states, given)
    history = services.history(ended["executionArn"])
    entered = [each["stateEnteredEventDetails"]["name"] for each in history if "stateEnteredEventDetails" in each]
    scheduled = sum(each["type"] == "TaskScheduled" for each in history)
    return {
        "status": ended["status"],
        "error": ended.get("error", ""),
        "entered": entered,
        "output": json.loads(ended["output"]) if "output" in ended else None,
        "retries": scheduled - entered.count("Task"),
    }


@pytest.mark.parametrize("name", CASES)
def test_both_do_the_same(services: Services, name: str) -> None:
    case = CASES[name]
    make = services.callback_task if case.waits else services.task
    task = make(case.function, **case.fields)
    if "Next" in case.fields or "Catch" in case.fields:
        task.pop("End", None)
        task.setdefault("Next", "Caught")
    if case.fields.get("Next"):
        task = {**task, "ResultPath": None}
    states = {"Task": task, **copy.deepcopy(case.after)}

    here, there = (
        _interpreted(states, services.functions, case.given),
        _on_the_local_target(services, states, case.given),
    )

    for outcome in (here, there):  # the text of a cause is the function's own
        if isinstance(outcome["output"], dict) and "error" in outcome["output"]:
            outcome["output"]["error"].pop("Cause", None)
    assert here == there
