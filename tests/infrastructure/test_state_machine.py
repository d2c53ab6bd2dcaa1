"""The state machine, read out of the synthesized template."""

from typing import Any

import pytest

from runctl import errors
from runctl.model.decision import Conclusion, Decision, ExecutionInput
from runctl.model.names import Function, State
from stacks.constructs.functions import FUNCTION_TIMEOUT
from stacks.constructs.identity import id_of
from stacks.state_machine.chain import STEP_TIMEOUT
from tests.infrastructure.deployed_template import DeployedTemplate

FUNCTION_OF_STATE = {
    State.ADMIT_RUN: Function.ADMIT_RUN,
    State.LAUNCH_MACHINE: Function.LAUNCH_MACHINE,
    State.WAIT_FOR_SSM: Function.AWAIT_READY,
    State.TRAIN: Function.START_TRAINING,
    State.DECIDE_WHAT_NEXT: Function.DECIDE_NEXT,
    State.CONCLUDE_RUN: Function.CONCLUDE_RUN,
}
CALLBACKS = (State.WAIT_FOR_SSM, State.TRAIN)

AWS_ERRORS = {
    "States.ALL",
    "States.HeartbeatTimeout",
    "States.Timeout",
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
}
"""Names that Step Functions and Lambda give (Step Functions Developer Guide, "Handling errors in Step Functions
workflows"; Lambda Developer Guide, "Troubleshoot invocation issues in Lambda")."""

States = dict[str, dict[str, Any]]


@pytest.fixture
def states(template: DeployedTemplate) -> States:
    """All states by name."""
    found: States = template.state_machine["States"]
    return found


def caught(state: dict[str, Any]) -> list[tuple[str, str]]:
    """(error, next state) in the order in which they are tried."""
    return [(error, catcher["Next"]) for catcher in state.get("Catch", []) for error in catcher["ErrorEquals"]]


def successors(state: dict[str, Any]) -> set[str]:
    branches = [*state.get("Choices", []), *state.get("Catch", []), state]
    return {branch[key] for branch in branches for key in ("Next", "Default") if key in branch}


def test_states_are_those_that_the_console_is_promised(states: States) -> None:
    assert set(states) == {state.value for state in State}


def test_every_state_is_reached_from_the_first(template: DeployedTemplate, states: States) -> None:
    reached: set[str] = set()
    waiting = {template.state_machine["StartAt"]}

    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= successors(states[name]) - reached

    assert template.state_machine["StartAt"] == State.ADMIT_RUN
    assert reached == set(states)


@pytest.mark.parametrize(("state", "function"), FUNCTION_OF_STATE.items())
def test_each_step_calls_its_own_function(states: States, state: State, function: Function) -> None:
    assert states[state]["Parameters"]["FunctionName"] == f"<Functions{id_of(function)}.Arn>"


@pytest.mark.parametrize("state", [state for state in FUNCTION_OF_STATE if state not in CALLBACKS])
def test_a_plain_step_gets_the_state_alone(states: States, state: State) -> None:
    assert states[state]["Resource"] == "arn:aws:states:::lambda:invoke"
    assert states[state]["Parameters"]["Payload"] == {"state.$": "$"}


@pytest.mark.parametrize("state", CALLBACKS)
def test_a_waiting_step_gets_its_token(states: States, state: State) -> None:
    assert states[state]["Resource"] == "arn:aws:states:::lambda:invoke.waitForTaskToken"
    assert states[state]["Parameters"]["Payload"] == {
        "state.$": "$",
        "task_token.$": "$$.Task.Token",
        "entered_at.$": "$$.State.EnteredTime",
        "retry.$": "$$.State.RetryCount",
    }


def test_every_task_has_a_timeout(states: States) -> None:
    tasks = {name: state for name, state in states.items() if state["Type"] == "Task"}

    assert set(tasks) == {state.value for state in FUNCTION_OF_STATE}
    assert all("TimeoutSeconds" in task or "TimeoutSecondsPath" in task for task in tasks.values())


def test_a_step_outlives_its_function(states: States) -> None:
    limit = states[State.ADMIT_RUN]["TimeoutSeconds"]

    assert limit == STEP_TIMEOUT.to_seconds()
    assert limit > FUNCTION_TIMEOUT.to_seconds()


def test_waits_take_their_limits_from_the_runs_own_input(states: States) -> None:
    paths = {
        states[State.WAIT_FOR_SSM]["TimeoutSecondsPath"],
        states[State.TRAIN]["TimeoutSecondsPath"],
        states[State.TRAIN]["HeartbeatSecondsPath"],
    }

    assert paths == {"$.ready_timeout_s", "$.train_timeout_s", "$.heartbeat_timeout_s"}
    assert {path.removeprefix("$.") for path in paths} <= set(ExecutionInput.model_fields)


@pytest.mark.parametrize("state", [State.LAUNCH_MACHINE, State.WAIT_FOR_SSM, State.TRAIN, State.ADMIT_RUN])
def test_any_failure_is_decided_upon_and_the_wildcard_stands_last(states: States, state: State) -> None:
    catches = caught(states[state])

    assert catches[-1] == ("States.ALL", State.DECIDE_WHAT_NEXT)
    assert [error for error, _ in catches].count("States.ALL") == 1


def test_a_missed_heartbeat_is_told_apart_from_a_timeout(states: States) -> None:
    errors_caught = [error for error, _ in caught(states[State.TRAIN])]

    assert errors_caught.index("States.HeartbeatTimeout") < errors_caught.index("States.Timeout")


def test_every_catch_keeps_the_states_data_and_adds_the_error(states: States) -> None:
    catchers = [catcher for state in states.values() for catcher in state.get("Catch", [])]

    assert catchers
    assert {catcher["ResultPath"] for catcher in catchers} == {"$.error"}


def test_a_failed_decision_concludes_the_run(states: States) -> None:
    assert caught(states[State.DECIDE_WHAT_NEXT]) == [("States.ALL", State.CONCLUDE_RUN)]


def test_a_failed_conclusion_fails_the_execution(states: States) -> None:
    assert "Catch" not in states[State.CONCLUDE_RUN]


def test_a_redrive_of_an_ended_run_stops_with_an_explanation(states: States) -> None:
    target = dict(caught(states[State.ADMIT_RUN]))[errors.RunEnded.__name__]

    assert target == State.ALREADY_ENDED
    assert states[target]["Type"] == "Fail"
    assert "start a new run" in states[target]["Cause"]


def test_error_names_are_classes_of_ours_or_names_of_aws(states: States) -> None:
    named = {
        error
        for state in states.values()
        for rule in (*state.get("Retry", []), *state.get("Catch", []))
        for error in rule["ErrorEquals"]
    }
    ours = {name for name in named if isinstance(getattr(errors, name, None), type)}

    assert named - ours == AWS_ERRORS
    assert ours == {"AwsUnavailable", "MachineStillAlive", "RunEnded", "StaleWriteError", "Throttled"}
    assert all(issubclass(getattr(errors, name), errors.RunctlError) for name in ours)


def test_nothing_is_retried_merely_because_it_failed(states: States) -> None:
    retried = {e for state in states.values() for retrier in state.get("Retry", []) for e in retrier["ErrorEquals"]}

    assert not retried & {"States.ALL", "States.TaskFailed", "States.HeartbeatTimeout"}


def test_a_step_of_which_nothing_was_heard_is_tried_again_and_one_that_waits_is_not(states: States) -> None:
    retrying = {
        name
        for name, state in states.items()
        if any("States.Timeout" in retrier["ErrorEquals"] for retrier in state.get("Retry", []))
    }

    assert retrying == {state.value for state in FUNCTION_OF_STATE if state not in CALLBACKS}


def test_throttled_invocations_are_retried_long_and_with_jitter(states: States) -> None:
    for state in FUNCTION_OF_STATE:
        (retrier,) = (r for r in states[state]["Retry"] if "Lambda.TooManyRequestsException" in r["ErrorEquals"])
        assert retrier["JitterStrategy"] == "FULL"
        assert _waits_for(retrier) / 2 > 15 * 60, "full jitter waits half of it on average"


@pytest.mark.parametrize("state", [State.ADMIT_RUN, State.DECIDE_WHAT_NEXT, State.CONCLUDE_RUN])
@pytest.mark.parametrize("error", ["Lambda.TooManyRequestsException", "Throttled", "AwsUnavailable"])
def test_a_state_behind_which_nobody_waits_outwaits_two_hours_of_throttling(
    states: States, state: State, error: str
) -> None:
    (retrier,) = (r for r in states[state]["Retry"] if error in r["ErrorEquals"])

    assert _waits_for(retrier) / 2 > 115 * 60


def _waits_for(retrier: dict[str, Any]) -> float:
    """Seconds of all waits together, without jitter."""
    return sum(
        min(retrier["IntervalSeconds"] * retrier["BackoffRate"] ** n, retrier["MaxDelaySeconds"])
        for n in range(retrier["MaxAttempts"])
    )


def test_the_states_that_end_machines_wait_for_ec2s_word(states: States) -> None:
    waiting = [
        name
        for name, state in states.items()
        if any("MachineStillAlive" in retrier["ErrorEquals"] for retrier in state.get("Retry", []))
    ]

    assert sorted(waiting) == [State.CONCLUDE_RUN, State.DECIDE_WHAT_NEXT]


@pytest.mark.parametrize(
    ("state", "model", "path"),
    [(State.DECIDE_WHAT_NEXT, Decision, "$.decision"), (State.CONCLUDE_RUN, Conclusion, "$.conclusion")],
)
def test_an_answer_is_kept_whole(
    states: States, state: State, model: type[Decision] | type[Conclusion], path: str
) -> None:
    assert states[state]["ResultPath"] == path
    assert states[state]["ResultSelector"] == {f"{name}.$": f"$.Payload.{name}" for name in model.model_fields}


def test_what_training_answers_is_kept_and_other_answers_are_not(states: States) -> None:
    assert states[State.TRAIN]["ResultPath"] == "$.training"
    assert [states[state]["ResultPath"] for state in (State.ADMIT_RUN, State.LAUNCH_MACHINE, State.WAIT_FOR_SSM)] == [
        None,
        None,
        None,
    ]


def test_a_given_machine_is_not_launched(states: States) -> None:
    given = states[State.MACHINE_GIVEN]

    assert given["Choices"] == [{"Variable": "$.instance_id", "IsPresent": True, "Next": State.WAIT_FOR_SSM}]
    assert given["Default"] == State.LAUNCH_MACHINE


def test_the_decision_is_followed(states: States) -> None:
    choices = {choice["StringEquals"]: choice["Next"] for choice in states[State.TRY_AGAIN]["Choices"]}

    assert choices == {"launch": State.LAUNCH_MACHINE, "wait": State.WAIT_FOR_CAPACITY}
    assert states[State.TRY_AGAIN]["Default"] == State.CONCLUDE_RUN
    assert states[State.WAIT_FOR_CAPACITY]["SecondsPath"] == "$.decision.wait_s"
    assert states[State.WAIT_FOR_CAPACITY]["Next"] == State.LAUNCH_MACHINE


def test_only_a_run_that_succeeded_is_a_green_execution(states: States) -> None:
    ends = {choice["StringEquals"]: choice["Next"] for choice in states[State.HOW_DID_IT_END]["Choices"]}

    assert ends == {
        "SUCCEEDED": State.RUN_SUCCEEDED,
        "CANCELLED": State.RUN_CANCELLED,
        "STOPPED": State.RUN_STOPPED,
    }
    assert states[State.HOW_DID_IT_END]["Default"] == State.RUN_FAILED
    assert [name for name, state in states.items() if state["Type"] == "Succeed"] == [State.RUN_SUCCEEDED]


@pytest.mark.parametrize("state", [State.RUN_FAILED, State.RUN_CANCELLED, State.RUN_STOPPED])
def test_the_console_shows_our_own_reason_and_sentence(states: States, state: State) -> None:
    assert states[state] == {
        "Type": "Fail",
        "ErrorPath": "$.conclusion.reason",
        "CausePath": "$.conclusion.cause",
    }


def test_an_execution_ends_before_aws_ends_it(template: DeployedTemplate) -> None:
    assert template.state_machine["TimeoutSeconds"] <= 364 * 86_400


def test_executions_are_logged_without_their_data_and_traced(template: DeployedTemplate) -> None:
    (resource,) = template.of_type("AWS::StepFunctions::StateMachine").values()

    assert resource["LoggingConfiguration"]["Level"] == "ALL"
    assert resource["LoggingConfiguration"]["IncludeExecutionData"] is False
    assert resource["TracingConfiguration"] == {"Enabled": True}
    assert resource["StateMachineType"] == "STANDARD"
