"""Only the attempt that the run waits for is answered, and once."""

from typing import Any

import pytest

from runctl.controller.answers import answer
from runctl.model.attempt import FactKind, Wait
from runctl.model.ids import AttemptNumber, TaskToken
from runctl.model.status import Reason, RunStatus
from tests.factories import make_attempt, make_end, make_run, with_facts
from tests.fakes.services import FakeTaskTokens

READY, TRAIN = TaskToken("ready"), TaskToken("train")
ENDED = with_facts(
    make_attempt(tokens={Wait.READY: READY, Wait.TRAIN: TRAIN}), FactKind.READY, FactKind.ENDED, ended=make_end()
)


def waiting(*tokens: TaskToken) -> FakeTaskTokens:
    """Step Functions with these tokens."""
    return FakeTaskTokens(waiting=set(tokens))


def test_the_state_that_was_entered_last_is_answered() -> None:
    tokens = waiting(READY, TRAIN)

    woken = answer(make_run(attempt=AttemptNumber(1)), ENDED, (ENDED,), tokens=tokens)

    assert woken
    assert set(tokens.answers) == {TRAIN}


@pytest.mark.parametrize(
    ("run", "attempt"),
    [
        ({"attempt": 2}, {}),
        ({"status": RunStatus.SUCCEEDED}, {}),
        ({}, {"reason": Reason.MACHINE_LOST}),
        ({}, {"tokens": {}}),
    ],
)
def test_an_old_or_ended_attempt_is_not_answered(run: dict[str, Any], attempt: dict[str, Any]) -> None:
    tokens = waiting(READY, TRAIN)
    fields: dict[str, Any] = {"attempt": 1, **run}
    of_run = make_run(**fields)

    ended = ENDED.model_copy(update=attempt)
    woken = answer(of_run, ended, (ended,), tokens=tokens)

    assert not woken
    assert tokens.answers == {}
    assert tokens.refused == 0


def test_a_token_that_is_spent_is_fine() -> None:
    assert not answer(make_run(attempt=AttemptNumber(1)), ENDED, (ENDED,), tokens=waiting())
