"""One reason for each ending, whatever the evidence is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl import errors
from runctl.model.agent_event import EndedWhy
from runctl.model.attempt import FactKind, Wait
from runctl.model.decision import StepFailure
from runctl.model.ids import TaskToken
from runctl.model.machine import SPOT_TERMINATION, MachineState
from runctl.model.status import Reason
from runctl.policy.endings import PASSING, Evidence, classify, message_of
from runctl.policy.facts import Departure
from tests.factories import make_attempt, make_end, make_stop_request, with_facts

LAUNCHED = make_attempt()
WAITING = make_attempt(tokens={Wait.READY: TaskToken("t")})
TRAINING = with_facts(
    make_attempt(tokens={Wait.READY: TaskToken("t"), Wait.TRAIN: TaskToken("u")}), FactKind.READY, FactKind.STARTED
)


def gone(reason: str) -> dict[str, str]:
    """The data of the fact `gone`."""
    return {"state": "terminated", "state_reason": reason, "state_message": ""}


def raised(name: str, message: str = "as it was said") -> StepFailure:
    """What a Catch shows of a Lambda that raised."""
    return StepFailure(Error=name, Cause=json.dumps({"errorMessage": message, "errorType": name}))


@pytest.mark.parametrize(
    ("why", "exit_code", "reason"),
    [
        (EndedWhy.EXITED, 0, Reason.COMPLETED),
        (EndedWhy.EXITED, 3, Reason.USER_ERROR),
        (EndedWhy.EXITED, 75, Reason.NO_PROGRESS),
        (EndedWhy.SETUP_FAILED, None, Reason.SETUP_FAILED),
        (EndedWhy.OUT_OF_MEMORY, 137, Reason.OUT_OF_MEMORY),
        (EndedWhy.CHECKPOINT_MISSING, 0, Reason.CHECKPOINT_MISSING),
        (EndedWhy.NOTICE, 75, Reason.SPOT_INTERRUPTION),
        (EndedWhy.DEADLINE, 75, Reason.TIMEOUT),
        (EndedWhy.DEAD_MAN, 75, Reason.MACHINE_LOST),
        (EndedWhy.STOP, 75, Reason.CANCELLED),
    ],
)
def test_the_report_gives_the_reason_and_the_exit_code(why: EndedWhy, exit_code: int | None, reason: Reason) -> None:
    attempt = with_facts(TRAINING, FactKind.ENDED, ended=make_end(why, exit_code))

    ending = classify(Evidence(attempt))

    assert (ending.reason, ending.exit_code) == (reason, exit_code)


def test_a_stop_by_a_limit_gives_the_limit_as_reason() -> None:
    attempt = with_facts(TRAINING, FactKind.ENDED, ended=make_end(EndedWhy.STOP, 75))

    ending = classify(Evidence(attempt, stop_request=make_stop_request(Reason.BUDGET)))

    assert ending.reason is Reason.BUDGET


def test_a_success_that_was_reported_stands_though_its_machine_is_gone_and_the_heartbeat_missed() -> None:
    attempt = with_facts(TRAINING, FactKind.WARNED, FactKind.GONE, FactKind.ENDED, gone=gone(""), ended=make_end())

    ending = classify(Evidence(attempt, failure=StepFailure(Error="States.HeartbeatTimeout")))

    assert ending.reason is Reason.COMPLETED


def test_the_last_log_line_stands_in_the_evidence_of_a_users_failure() -> None:
    end = make_end(exit_code=3, last_lines=("line one", "could not read the labels", ""))

    ending = classify(Evidence(with_facts(TRAINING, FactKind.ENDED, ended=end)))

    assert ending.text == 'The training ended with exit code 3; its last line was "could not read the labels".'


def test_exit_code_137_without_the_kernels_report_is_not_called_a_lack_of_memory() -> None:
    ending = classify(Evidence(with_facts(TRAINING, FactKind.ENDED, ended=make_end(exit_code=137))))

    assert ending.reason is Reason.USER_ERROR
    assert "SIGKILL" in ending.text


@pytest.mark.parametrize(
    ("state_reason", "reason"),
    [
        (SPOT_TERMINATION, Reason.SPOT_INTERRUPTION),
        ("Server.InsufficientInstanceCapacity", Reason.CAPACITY),
        ("Client.VolumeLimitExceeded", Reason.QUOTA),
        ("Client.InternalError", Reason.PERMISSION),
        ("Server.InternalError", Reason.MACHINE_LOST),
        ("Client.UserInitiatedShutdown", Reason.MACHINE_LOST),
        ("", Reason.MACHINE_LOST),
    ],
)
def test_a_machine_that_died_before_it_was_ready_tells_ec2s_reason(state_reason: str, reason: Reason) -> None:
    ending = classify(Evidence(with_facts(WAITING, FactKind.GONE, gone=gone(state_reason))))

    assert ending.reason is reason


def test_a_ready_machine_that_dies_is_lost_whatever_launch_errors_look_like() -> None:
    attempt = with_facts(TRAINING, FactKind.GONE, gone=gone("Client.InternalError"))

    assert classify(Evidence(attempt)).reason is Reason.MACHINE_LOST


def test_a_missed_heartbeat_is_a_lost_machine_and_says_what_ec2_and_ssm_answer() -> None:
    ending = classify(
        Evidence(
            TRAINING,
            failure=StepFailure(Error="States.HeartbeatTimeout"),
            machine_state=MachineState.RUNNING,
            online=False,
        )
    )

    assert ending.reason is Reason.MACHINE_LOST
    assert ending.text


def test_a_timeout_is_told_apart_by_what_was_waited_for() -> None:
    timeout = StepFailure(Error="States.Timeout")

    assert classify(Evidence(WAITING, failure=timeout)).reason is Reason.MACHINE_NOT_READY
    assert classify(Evidence(TRAINING, failure=timeout)).reason is Reason.TIMEOUT
    assert classify(Evidence(LAUNCHED, failure=timeout)).reason is Reason.CONTROLLER


def test_a_machine_whose_word_came_in_the_moment_of_the_timeout_was_not_ready_in_time() -> None:
    late = with_facts(WAITING, FactKind.READY)

    ending = classify(Evidence(late, failure=StepFailure(Error="States.Timeout")))

    assert ending.reason is Reason.MACHINE_NOT_READY


@pytest.mark.parametrize("error", ["States.Timeout", "States.HeartbeatTimeout"])
def test_a_machine_that_did_not_stop_in_time_was_still_asked_to_stop(error: str) -> None:
    stop = make_stop_request()

    for attempt in (WAITING, TRAINING):
        ending = classify(Evidence(attempt, stop_request=stop, failure=StepFailure(Error=error)))
        assert ending.reason is Reason.CANCELLED


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("CapacityUnavailable", Reason.CAPACITY),
        ("QuotaExceeded", Reason.QUOTA),
        ("PermissionDenied", Reason.PERMISSION),
        ("CredentialsError", Reason.PERMISSION),
        ("PoolUnsupported", Reason.INVALID_SPEC),
        ("InvalidSpec", Reason.INVALID_SPEC),
        ("MachineNotReady", Reason.MACHINE_NOT_READY),
        ("StopRequested", Reason.CANCELLED),
        ("AwsError", Reason.CONTROLLER),
        ("Throttled", Reason.CAPACITY),
        ("AwsUnavailable", Reason.CAPACITY),
        ("Lambda.TooManyRequestsException", Reason.CAPACITY),
        ("StaleWriteError", Reason.CONTROLLER),
        ("KeyError", Reason.CONTROLLER),
        ("States.TaskFailed", Reason.CONTROLLER),
        ("Lambda.Unknown", Reason.CONTROLLER),
    ],
)
def test_an_error_that_was_raised_gives_its_class_reason_and_sentence(name: str, reason: Reason) -> None:
    ending = classify(Evidence(LAUNCHED, failure=raised(name)))

    assert ending.reason is reason
    assert ending.is_passing == (name in PASSING)
    assert "as it was said" in ending.text


def test_a_cause_is_read_from_lambdas_json_and_from_plain_text() -> None:
    assert message_of(raised("X", "of a Lambda")) == "of a Lambda"
    assert message_of(StepFailure(Error="X", Cause="of our own")) == "of our own"
    assert message_of(StepFailure(Error="X", Cause="[1, 2]")) == "[1, 2]"
    assert message_of(StepFailure(Error="X")) == ""


names = st.sampled_from(
    [
        *(name for name, error in vars(errors).items() if isinstance(error, type) and issubclass(error, Exception)),
        "States.Timeout",
        "States.HeartbeatTimeout",
        "States.TaskFailed",
        "SomethingElse",
    ]
)
failures = st.none() | st.builds(StepFailure, Error=names, Cause=st.sampled_from(["", "text", '{"errorMessage": "x"}']))
ends = st.builds(make_end, st.sampled_from(list(EndedWhy)), st.sampled_from([None, 0, 1, 75, 137]))


@given(
    kinds=st.sets(st.sampled_from(list(FactKind))),
    tokens=st.sets(st.sampled_from(list(Wait))),
    end=ends,
    state_reason=st.sampled_from(["", SPOT_TERMINATION, "Client.InternalError", "Server.InsufficientInstanceCapacity"]),
    failure=failures,
    stop_reason=st.none() | st.sampled_from([Reason.CANCELLED, Reason.TIMEOUT, Reason.BUDGET, Reason.CONTROLLER]),
    state=st.none() | st.sampled_from(list(MachineState)),
    online=st.none() | st.booleans(),
    trained=st.booleans(),
    shown=st.none() | st.sampled_from(["", SPOT_TERMINATION]).map(lambda reason: Departure("terminated", reason)),
)
def test_every_combination_of_evidence_has_one_reason_and_a_sentence(
    kinds: set[FactKind],
    tokens: set[Wait],
    end: dict[str, object],
    state_reason: str,
    failure: StepFailure | None,
    stop_reason: Reason | None,
    state: MachineState | None,
    online: bool | None,
    trained: bool,
    shown: Departure | None,
) -> None:
    attempt = with_facts(
        make_attempt(tokens={wait: TaskToken("t") for wait in tokens}), *kinds, ended=end, gone=gone(state_reason)
    )
    stop = None if stop_reason is None else make_stop_request(stop_reason)

    ending = classify(Evidence(attempt, stop, failure, state, online, trained, shown))

    assert isinstance(ending.reason, Reason)
    assert ending.text
    succeeded = FactKind.ENDED in kinds and end["exit_code"] == 0 and end["why"] != EndedWhy.CHECKPOINT_MISSING
    if succeeded:
        assert ending.reason is Reason.COMPLETED
    elif FactKind.ENDED in kinds:
        assert ending.reason is not Reason.COMPLETED
