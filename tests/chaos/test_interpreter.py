"""The interpreter does what Step Functions does with the fields that our definition uses, and refuses all others."""

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.definition import synthesized
from tests.chaos.interpreter import Execution, TaskFailed, Tokens, refused
from tests.chaos.loop import Loop

TASK = "arn:aws:states:::lambda:invoke"
WAITING = f"{TASK}.waitForTaskToken"


class Machine:
    """A state machine of a few states, and functions that a test makes up."""

    def __init__(self, states: dict[str, Any], functions: dict[str, Callable[[Any], Any]], **fields: Any) -> None:
        self.loop = Loop()
        self.tokens = Tokens()
        self._started: list[Execution] = []
        self.invoked: list[tuple[float, str]] = []
        self._functions = functions
        self._definition = {"StartAt": next(iter(states)), "States": states, **fields}

    def start(self, given: Any) -> Execution:
        """Start an execution; it goes on until it waits."""
        execution = Execution(
            self._definition,
            f"run-{len(self._started)}",
            given,
            loop=self.loop,
            tokens=self.tokens,
            invoke=self._invoke,
            chance=random.Random(1),
        )
        self._started.append(execution)
        execution.start()
        return execution

    def _invoke(self, function: str, payload: Any) -> Any:
        self.invoked.append((self.loop.now, function))
        return self._functions[function](payload)


def task(function: str, **fields: Any) -> dict[str, Any]:
    """A step that answers at once."""
    parameters = {"FunctionName": function, "Payload": {"state.$": "$"}}
    return {"Type": "Task", "Resource": TASK, "Parameters": parameters, "End": True, **fields}


def waiting(function: str, **fields: Any) -> dict[str, Any]:
    """A step that waits for its token."""
    parameters = {"FunctionName": function, "Payload": {"state.$": "$", "token.$": "$$.Task.Token"}}
    return task(function, Resource=WAITING, Parameters=parameters, **fields)


def failing(error: str, times: int = 1_000) -> Callable[[Any], Any]:
    """A function that fails so often, and then answers."""
    left = [times]

    def function(_payload: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise TaskFailed(error, "because")
        return "done"

    return function


def test_the_synthesized_definition_holds_nothing_that_is_not_done() -> None:
    assert refused(synthesized()) == []


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda d: d["States"]["Train"].update(InputPath="$.x"), "Train: the field InputPath"),
        (lambda d: d["States"]["Train"]["Retry"][0].update(Comment="x"), "Train: Comment in Retry"),
        (lambda d: d["States"]["Try again?"]["Choices"][0].update(NumericEquals=1), "NumericEquals in Choices"),
        (lambda d: d["States"].update(Both={"Type": "Parallel"}), "Both: a state of type Parallel"),
        (lambda d: d["States"]["Train"].update(Resource="arn:aws:states:::sns:publish"), "the resource arn:aws"),
        (
            lambda d: d["States"]["Train"]["Parameters"]["Payload"].update({"x.$": "$$.Execution.Id"}),
            "Train: the context's $$.Execution.Id",
        ),
        (lambda d: d.update(QueryLanguage="JSONata"), "the machine's QueryLanguage"),
    ],
)
def test_anything_else_is_refused(spoil: Callable[[dict[str, Any]], object], told: str) -> None:
    definition = copy.deepcopy(synthesized())

    spoil(definition)

    assert told in "\n".join(refused(definition))


def test_a_tasks_answer_is_selected_and_put_where_it_belongs() -> None:
    step = task("f", ResultSelector={"n.$": "$.Payload.n"}, ResultPath="$.answer")
    machine = Machine({"Step": step}, {"f": lambda payload: {"n": payload["state"]["given"], "more": 1}})

    execution = machine.start({"given": 3})
    machine.loop.pass_time(1)

    assert execution.status == "SUCCEEDED"
    assert execution.output == {"given": 3, "answer": {"n": 3}}


def test_an_answer_without_a_selected_field_ends_the_execution_uncaught() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Saved"}]
    step = task("f", ResultSelector={"n.$": "$.Payload.n"}, Catch=catch)
    machine = Machine({"Step": step, "Saved": {"Type": "Succeed"}}, {"f": lambda _payload: {}})

    execution = machine.start({})
    machine.loop.pass_time(1)

    assert (execution.status, execution.error) == ("FAILED", "States.Runtime")


def test_an_error_is_retried_as_long_as_its_retrier_says_and_then_caught() -> None:
    retry = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "BackoffRate": 2, "MaxAttempts": 3, "MaxDelaySeconds": 5}]
    catch = [{"ErrorEquals": ["Busy"], "ResultPath": "$.error", "Next": "Saved"}]
    states = {"Step": task("f", Retry=retry, Catch=catch), "Saved": {"Type": "Succeed"}}
    machine = Machine(states, {"f": failing("Busy")})

    execution = machine.start({"kept": 1})
    machine.loop.pass_time(60)

    assert [at for at, _ in machine.invoked] == [0, 2, 6, 11]
    assert execution.output == {"kept": 1, "error": {"Error": "Busy", "Cause": "because"}}
    assert execution.transitions == 2 + 3


def test_full_jitter_waits_for_some_of_the_delay() -> None:
    retry = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 8, "MaxAttempts": 1, "JitterStrategy": "FULL"}]
    machine = Machine({"Step": task("f", Retry=retry)}, {"f": failing("Busy", 1)})

    execution = machine.start({})
    machine.loop.pass_time(8)

    assert execution.status == "SUCCEEDED"
    assert 0 < machine.invoked[1][0] < 8


def test_an_error_that_nothing_catches_ends_the_execution() -> None:
    machine = Machine({"Step": task("f")}, {"f": failing("Odd")})

    execution = machine.start({})
    machine.loop.pass_time(1)

    assert (execution.status, execution.error, execution.cause) == ("FAILED", "Odd", "because")


def test_a_token_is_answered_once_and_gives_the_output() -> None:
    tokens: list[str] = []
    step = waiting("f", ResultPath="$.training")
    machine = Machine({"Step": step}, {"f": lambda payload: tokens.append(payload["token"])})
    execution = machine.start({})

    answers = [machine.tokens.succeed(tokens[0], {"loss": 1}), machine.tokens.fail(tokens[0], "Late", "")]
    machine.loop.pass_time(1)

    assert answers == [True, False]
    assert execution.output == {"training": {"loss": 1}}


def test_a_token_may_be_answered_before_its_function_returns() -> None:
    machine = Machine({"Step": waiting("f")}, {"f": lambda payload: machine.tokens.succeed(payload["token"], "early")})

    execution = machine.start({})
    machine.loop.pass_time(1)

    assert execution.output == "early"


def test_a_missed_heartbeat_and_the_time_limit_end_a_waiting_task() -> None:
    tokens: list[str] = []
    limits = {"HeartbeatSecondsPath": "$.beat", "TimeoutSeconds": 25}
    machine = Machine({"Step": waiting("f", **limits)}, {"f": lambda payload: tokens.append(payload["token"])})
    silent = machine.start({"beat": 10})
    machine.loop.pass_time(11)
    lively = machine.start({"beat": 10})

    for _ in range(4):
        machine.loop.pass_time(8)
        machine.tokens.heartbeat(tokens[1])

    assert (silent.status, silent.error) == ("FAILED", "States.HeartbeatTimeout")
    assert (lively.status, lively.error) == ("FAILED", "States.Timeout")
    assert not machine.tokens.heartbeat(tokens[1])


def test_a_missed_heartbeat_is_a_kind_of_timeout() -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "Next": "Saved"}]
    states = {"Step": waiting("f", HeartbeatSeconds=5, Catch=catch), "Saved": {"Type": "Succeed"}}
    machine = Machine(states, {"f": lambda _payload: None})

    execution = machine.start({})
    machine.loop.pass_time(6)

    assert execution.status == "SUCCEEDED"


def test_a_function_that_fails_takes_its_token_with_it() -> None:
    tokens: list[str] = []

    def function(payload: Any) -> Any:
        tokens.append(payload["token"])
        raise TaskFailed("Odd")

    machine = Machine({"Step": waiting("f")}, {"f": function})
    execution = machine.start({})
    machine.loop.pass_time(1)

    assert execution.status == "FAILED"
    assert not machine.tokens.succeed(tokens[0], {})


def test_a_choice_goes_by_what_is_there_and_what_it_says() -> None:
    states: dict[str, Any] = {
        "Choose": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.machine", "IsPresent": True, "Next": "There"},
                {"Variable": "$.word.inner", "StringEquals": "yes", "Next": "Said"},
            ],
            "Default": "Otherwise",
        },
        **{name: {"Type": "Succeed"} for name in ("There", "Said", "Otherwise")},
    }
    machine = Machine(states, {})

    ends = [machine.start(given).state for given in ({"machine": None}, {"word": {"inner": "yes"}}, {"word": "yes"})]

    assert ends == ["There", "Said", "Otherwise"]


def test_a_wait_waits_and_a_failure_is_named_from_the_data() -> None:
    states = {
        "Wait": {"Type": "Wait", "SecondsPath": "$.wait_s", "Next": "Fail"},
        "Fail": {"Type": "Fail", "ErrorPath": "$.reason", "CausePath": "$.cause"},
    }
    machine = Machine(states, {})
    execution = machine.start({"wait_s": 30, "reason": "QUOTA", "cause": "full"})

    machine.loop.pass_time(29)
    waits = execution.is_running
    machine.loop.pass_time(2)

    assert waits
    assert (execution.status, execution.error, execution.cause) == ("FAILED", "QUOTA", "full")


def test_an_execution_that_is_stopped_or_too_long_ends_at_once_and_its_token_is_worth_nothing() -> None:
    tokens: list[str] = []
    states = {"Step": waiting("f", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Step"}])}
    machine = Machine(states, {"f": lambda payload: tokens.append(payload["token"])}, TimeoutSeconds=100)
    stopped, long = machine.start({}), machine.start({})

    stopped.abort()
    machine.loop.pass_time(101)

    assert (stopped.status, long.status) == ("ABORTED", "TIMED_OUT")
    assert [machine.tokens.succeed(token, {}) for token in tokens] == [False, False]
