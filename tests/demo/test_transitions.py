"""State transitions are counted as Step Functions charges for them."""

import pytest

from tests.demo.transitions import count_transitions

ENTERED = ["TaskStateEntered", "TaskScheduled", "TaskStarted"]
LEFT = ["TaskSucceeded", "TaskStateExited"]


def test_each_state_entered_is_one() -> None:
    history = [
        "ExecutionStarted",
        *ENTERED,
        *LEFT,
        "ChoiceStateEntered",
        "ChoiceStateExited",
        "WaitStateEntered",
        "WaitStateExited",
        "SucceedStateEntered",
        "SucceedStateExited",
        "ExecutionSucceeded",
    ]

    assert count_transitions(history) == 4


def test_each_retry_is_one_more() -> None:
    history = [
        "ExecutionStarted",
        *ENTERED,
        "TaskFailed",
        "TaskScheduled",
        "TaskStarted",
        "TaskTimedOut",
        "TaskScheduled",
    ]

    assert count_transitions([*history, "TaskStarted", *LEFT]) == 3


def test_a_task_that_was_never_scheduled_hides_no_retry_of_another() -> None:
    never_scheduled = ["TaskStateEntered", "TaskStateExited"]
    retried = [*ENTERED, "TaskFailed", "TaskScheduled", *LEFT]

    assert count_transitions([*never_scheduled, *retried]) == 3


@pytest.mark.parametrize("kind", ["LambdaFunctionScheduled", "ActivityScheduled"])
def test_other_kinds_of_tasks_are_retried_too(kind: str) -> None:
    assert count_transitions(["TaskStateEntered", kind, kind]) == 2


def test_heartbeats_and_an_empty_history_are_none() -> None:
    assert count_transitions([]) == 0
