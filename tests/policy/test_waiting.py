"""What a waiting state is answered: the table of docs/architecture.md, row by row."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.model.agent_event import EndedWhy
from runctl.model.attempt import Attempt, FactKind, Wait
from runctl.model.machine import SPOT_TERMINATION
from runctl.model.run import StopRequest
from runctl.model.status import Reason
from runctl.policy.endings import Ending
from runctl.policy.waiting import Fail, Succeed, outcome
from tests.factories import make_attempt, make_end, make_stop_request, with_facts

SPOT = {"state": "shutting-down", "state_reason": SPOT_TERMINATION, "state_message": "no capacity"}
KILLED = {"state": "shutting-down", "state_reason": "Client.UserInitiatedShutdown", "state_message": "a person"}
STOP = make_stop_request()


def error_of(wait: Wait, attempt: Attempt, stop: StopRequest | None = None) -> str | None:
    """The error's name; `ok` for success, None for waiting on."""
    answer = outcome(wait, attempt, stop)
    return "ok" if isinstance(answer, Succeed) else answer.error if isinstance(answer, Fail) else None


READY_ROWS: list[tuple[Any, ...]] = [
    ((), {}, None, None),
    ((FactKind.READY,), {}, None, "ok"),
    ((FactKind.REBALANCE,), {}, None, None),
    ((FactKind.READY, FactKind.REBALANCE), {}, None, "ok"),
    ((FactKind.WARNED,), {}, None, "SpotInterruption"),
    ((FactKind.READY, FactKind.WARNED), {}, None, "SpotInterruption"),
    ((FactKind.GONE,), {"gone": SPOT}, None, "SpotInterruption"),
    ((FactKind.GONE,), {"gone": KILLED}, None, "MachineLost"),
    ((FactKind.READY, FactKind.GONE), {"gone": KILLED}, None, "MachineLost"),
    ((FactKind.WARNED, FactKind.GONE), {"gone": KILLED}, None, "SpotInterruption"),
    ((), {}, STOP, "StopRequested"),
    ((FactKind.READY,), {}, STOP, "StopRequested"),
    ((FactKind.WARNED, FactKind.GONE), {"gone": SPOT}, STOP, "StopRequested"),
]


@pytest.mark.parametrize(("kinds", "data", "stop", "expected"), READY_ROWS)
def test_wait_for_ssm_is_answered_by_the_table(
    kinds: tuple[FactKind, ...], data: dict[str, dict[str, str]], stop: StopRequest | None, expected: str | None
) -> None:
    attempt = with_facts(make_attempt(), *kinds, **data)

    assert error_of(Wait.READY, attempt, stop) == expected


ENDED_ROWS = [
    (EndedWhy.EXITED, 0, "ok"),
    (EndedWhy.NOTICE, 0, "ok"),
    (EndedWhy.STOP, 0, "ok"),
    (EndedWhy.DEADLINE, 0, "ok"),
    (EndedWhy.DEAD_MAN, 0, "ok"),
    (EndedWhy.CHECKPOINT_MISSING, 0, "CheckpointMissing"),
    (EndedWhy.EXITED, 1, "UserError"),
    (EndedWhy.EXITED, 137, "UserError"),
    (EndedWhy.EXITED, None, "UserError"),
    (EndedWhy.EXITED, 75, "NoProgress"),
    (EndedWhy.SETUP_FAILED, None, "SetupFailed"),
    (EndedWhy.OUT_OF_MEMORY, 137, "OutOfMemory"),
    (EndedWhy.NOTICE, 75, "SpotInterruption"),
    (EndedWhy.NOTICE, 1, "SpotInterruption"),
    (EndedWhy.DEADLINE, 75, "TimeLimit"),
    (EndedWhy.STOP, 75, "StopRequested"),
    (EndedWhy.DEAD_MAN, 75, "MachineLost"),
]


@pytest.mark.parametrize(("why", "exit_code", "expected"), ENDED_ROWS)
def test_train_is_answered_by_the_agents_report(why: EndedWhy, exit_code: int | None, expected: str) -> None:
    attempt = with_facts(make_attempt(), FactKind.STARTED, FactKind.ENDED, ended=make_end(why, exit_code))

    assert error_of(Wait.TRAIN, attempt) == expected


def test_exit_code_75_is_what_was_asked_for_when_somebody_asked() -> None:
    left = with_facts(make_attempt(), FactKind.ENDED, ended=make_end(exit_code=75))
    warned = with_facts(left, FactKind.WARNED)
    taken = with_facts(left, FactKind.GONE, gone=SPOT)

    assert error_of(Wait.TRAIN, left, STOP) == "StopRequested"
    assert error_of(Wait.TRAIN, warned) == "SpotInterruption"
    assert error_of(Wait.TRAIN, taken) == "SpotInterruption"
    assert error_of(Wait.TRAIN, warned, STOP) == "StopRequested"


@pytest.mark.parametrize("others", [(FactKind.GONE,), (FactKind.WARNED, FactKind.GONE), (FactKind.COMMAND_FAILED,)])
def test_the_agents_report_stands_above_what_ec2_and_ssm_say(others: tuple[FactKind, ...]) -> None:
    attempt = with_facts(make_attempt(), *others, FactKind.ENDED, gone=SPOT, ended=make_end(exit_code=0))

    assert error_of(Wait.TRAIN, attempt, STOP) == "ok"


GONE_ROWS: list[tuple[Any, ...]] = [
    ((FactKind.GONE,), SPOT, None, "SpotInterruption"),
    ((FactKind.WARNED, FactKind.GONE), KILLED, None, "SpotInterruption"),
    ((FactKind.GONE,), KILLED, None, "MachineLost"),
    ((FactKind.STARTED, FactKind.GONE), {}, None, "MachineLost"),
    ((FactKind.GONE,), SPOT, STOP, "StopRequested"),
]


@pytest.mark.parametrize(("kinds", "gone", "stop", "expected"), GONE_ROWS)
def test_train_is_answered_by_the_machines_end(
    kinds: tuple[FactKind, ...], gone: dict[str, str], stop: StopRequest | None, expected: str
) -> None:
    attempt = with_facts(make_attempt(), FactKind.READY, *kinds, gone=gone)

    assert error_of(Wait.TRAIN, attempt, stop) == expected


@pytest.mark.parametrize("kinds", [(), (FactKind.STARTED,)])
def test_a_training_that_was_asked_to_stop_is_waited_for(kinds: tuple[FactKind, ...]) -> None:
    attempt = with_facts(make_attempt(), FactKind.READY, *kinds)
    warned = with_facts(attempt, FactKind.WARNED)

    assert error_of(Wait.TRAIN, attempt) is None
    assert error_of(Wait.TRAIN, attempt, STOP) is None
    assert error_of(Wait.TRAIN, warned, STOP) is None


@pytest.mark.parametrize("kinds", [(FactKind.WARNED,), (FactKind.STARTED, FactKind.WARNED)])
def test_a_warning_lets_the_run_go_on_to_another_machine_at_once(kinds: tuple[FactKind, ...]) -> None:
    attempt = with_facts(make_attempt(), FactKind.READY, *kinds)

    assert error_of(Wait.TRAIN, attempt) == "SpotInterruption"
    assert outcome(Wait.TRAIN, attempt, None, is_replaceable=False) is None


@pytest.mark.parametrize("wait", list(Wait))
@pytest.mark.parametrize("kinds", [(), (FactKind.READY,), (FactKind.WARNED,), (FactKind.GONE,)])
def test_an_attempt_whose_run_an_earlier_machine_has_ended_is_not_needed(
    wait: Wait, kinds: tuple[FactKind, ...]
) -> None:
    attempt = with_facts(make_attempt(2), *kinds, gone=KILLED)
    verdict = Ending(Reason.COMPLETED, "The training ended with exit code 0.", 0)

    for stop in (None, STOP):
        answer = outcome(wait, attempt, stop, verdict=verdict)
        assert answer == Fail("NotNeeded", "The training ended with exit code 0.")


def test_only_the_start_command_of_a_training_that_never_began_fails_it() -> None:
    failed = {"command_id": "c-1", "status": "Failed"}
    attempt = with_facts(make_attempt(command_id="c-1"), FactKind.COMMAND_FAILED, command_failed=failed)
    started = with_facts(attempt, FactKind.STARTED)
    of_another = attempt.model_copy(update={"command_id": "c-2"})
    not_yet_known = attempt.model_copy(update={"command_id": None})

    assert error_of(Wait.TRAIN, attempt) == "MachineNotReady"
    assert error_of(Wait.TRAIN, started) is None
    assert error_of(Wait.TRAIN, of_another) is None
    assert error_of(Wait.TRAIN, not_yet_known) is None


def test_a_failure_carries_a_sentence_that_names_machine_and_reason() -> None:
    attempt = with_facts(make_attempt(), FactKind.GONE, gone=KILLED)

    answer = outcome(Wait.TRAIN, attempt, None)

    assert isinstance(answer, Fail)
    assert answer.cause == (
        "EC2 says that the spot machine i-0123456789abcdef0 (t3.micro, us-east-1a) is shutting-down: "
        "Client.UserInitiatedShutdown (a person)."
    )


facts = st.sets(st.sampled_from(list(FactKind)))
ends = st.builds(make_end, st.sampled_from(list(EndedWhy)), st.sampled_from([None, 0, 1, 75, 137]))


@given(kinds=facts, more=facts, end=ends, gone=st.sampled_from([SPOT, KILLED]), stopped=st.booleans())
def test_an_answer_never_turns_back_into_waiting_when_more_is_known(
    kinds: set[FactKind], more: set[FactKind], end: dict[str, object], gone: dict[str, str], stopped: bool
) -> None:
    stop = STOP if stopped else None
    failed = {"command_id": "c-1", "status": "Failed"}
    data = {"ended": end, "gone": gone, "command_failed": failed}
    # What was started cannot be un-failed by a late word of its start, which is why it is left out here.
    known = with_facts(make_attempt(command_id="c-1"), *(kinds - {FactKind.STARTED}), **data)
    knows_more = with_facts(known, *(more - {FactKind.STARTED} - kinds), **data)

    for wait in Wait:
        if outcome(wait, known, stop) is not None:
            assert outcome(wait, knows_more, stop) is not None
