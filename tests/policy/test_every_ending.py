"""Every combination of evidence has one reason: the rules of the document, first that fits, against the code."""

import itertools
from typing import Any, Final

from runctl.model.agent_event import EndedWhy
from runctl.model.attempt import Attempt, FactKind, Wait
from runctl.model.decision import StepFailure
from runctl.model.ids import TaskToken
from runctl.model.machine import SPOT_TERMINATION
from runctl.model.run import StopRequest
from runctl.model.status import Reason
from runctl.policy.endings import Evidence, classify
from tests.factories import make_attempt, make_end, make_stop_request, with_facts

REPORTS: Final[dict[str, dict[str, Any] | None]] = {
    "none": None,
    "exit 0": make_end(),
    "exit 0 when warned": make_end(EndedWhy.NOTICE, 0),
    "exit 0 when stopped": make_end(EndedWhy.STOP, 0),
    "exit 3": make_end(exit_code=3),
    "exit 75": make_end(exit_code=75),
    "set-up": make_end(EndedWhy.SETUP_FAILED, None, started=False),
    "memory": make_end(EndedWhy.OUT_OF_MEMORY, 137),
    "no checkpoint": make_end(EndedWhy.CHECKPOINT_MISSING, 0),
    "notice": make_end(EndedWhy.NOTICE, 75),
    "stop": make_end(EndedWhy.STOP, 75),
    "deadline": make_end(EndedWhy.DEADLINE, 75),
    "dead man": make_end(EndedWhy.DEAD_MAN, 75),
}
DEPARTURES: Final = {
    "none": None,
    "spot": SPOT_TERMINATION,
    "person": "Client.UserInitiatedShutdown",
    "hardware": "Server.InternalError",
    "capacity": "Server.InsufficientInstanceCapacity",
    "key": "Client.InternalError",
    "unsaid": "",
}
FAILURES: Final = (
    None,
    "States.HeartbeatTimeout",
    "States.Timeout",
    "SpotInterruption",
    "MachineNotReady",
    "StopRequested",
    "QuotaExceeded",
    "Throttled",
    "Lambda.TooManyRequestsException",
    "StaleWriteError",
    "Lambda.Unknown",
)
STOPS: Final = (None, make_stop_request(Reason.CANCELLED), make_stop_request(Reason.BUDGET))
STAGES: Final[dict[str, Attempt]] = {
    "launching": make_attempt(instance_id=None),
    "waiting": make_attempt(tokens={Wait.READY: TaskToken("t")}),
    "preparing": with_facts(make_attempt(tokens={Wait.TRAIN: TaskToken("t")}), FactKind.READY),
    "training": with_facts(make_attempt(tokens={Wait.TRAIN: TaskToken("t")}), FactKind.READY, FactKind.STARTED),
}

BY_REPORT: Final = {
    "exit 0": Reason.COMPLETED,
    "exit 0 when warned": Reason.COMPLETED,
    "exit 0 when stopped": Reason.COMPLETED,
    "exit 3": Reason.USER_ERROR,
    "set-up": Reason.SETUP_FAILED,
    "memory": Reason.OUT_OF_MEMORY,
    "no checkpoint": Reason.CHECKPOINT_MISSING,
    "notice": Reason.SPOT_INTERRUPTION,
    "deadline": Reason.TIMEOUT,
    "dead man": Reason.MACHINE_LOST,
}
BEFORE_READY: Final = {"capacity": Reason.CAPACITY, "key": Reason.PERMISSION}
BY_FAILURE: Final = {
    "SpotInterruption": Reason.SPOT_INTERRUPTION,
    "MachineNotReady": Reason.MACHINE_NOT_READY,
    "QuotaExceeded": Reason.QUOTA,
}
PASSING: Final = {"Throttled", "Lambda.TooManyRequestsException"}


def expected(
    report: str, warned: bool, departure: str, failure: str | None, stop: Reason | None, stage: str, trained: bool
) -> Reason:
    """The rules, in order of weight."""
    if report == "stop":
        return stop or Reason.CANCELLED
    if report == "exit 75":
        return stop or (Reason.SPOT_INTERRUPTION if warned or departure == "spot" else Reason.NO_PROGRESS)
    if report in BY_REPORT:
        return BY_REPORT[report]
    if trained:
        return Reason.COMPLETED
    if departure != "none":
        if stop:
            return stop
        if warned or departure == "spot":
            return Reason.SPOT_INTERRUPTION
        is_ready = stage in ("preparing", "training")
        return Reason.MACHINE_LOST if is_ready else BEFORE_READY.get(departure, Reason.MACHINE_LOST)
    if failure == "StopRequested":
        return stop or Reason.CANCELLED
    if failure in BY_FAILURE:
        return BY_FAILURE[failure]
    if stop:
        return stop
    if failure in PASSING:
        return Reason.CAPACITY
    if failure in ("States.HeartbeatTimeout", "States.Timeout"):
        if stage in ("preparing", "training"):
            lost = Reason.SPOT_INTERRUPTION if warned else Reason.MACHINE_LOST
            return Reason.TIMEOUT if failure == "States.Timeout" else lost
        if stage == "waiting":
            return Reason.MACHINE_NOT_READY
    return Reason.SPOT_INTERRUPTION if warned else Reason.CONTROLLER


def evidence_of(
    report: str, warned: bool, departure: str, failure: str | None, stop: StopRequest | None, stage: str, trained: bool
) -> Evidence:
    """The evidence that a combination stands for."""
    attempt = STAGES[stage]
    if warned:
        attempt = with_facts(attempt, FactKind.WARNED)
    state_reason = DEPARTURES[departure]
    if state_reason is not None:
        seen = {"state": "shutting-down", "state_reason": state_reason, "state_message": ""}
        attempt = with_facts(attempt, FactKind.GONE, gone=seen)
    end = REPORTS[report]
    if end is not None:
        attempt = with_facts(attempt, FactKind.ENDED, ended=end)
    error = None if failure is None else StepFailure(Error=failure, Cause="It was said.")
    return Evidence(attempt=attempt, stop_request=stop, failure=error, trained=trained)


def test_every_combination_of_evidence_has_the_one_reason_that_the_rules_give() -> None:
    wrong: list[object] = []
    combinations = itertools.product(REPORTS, (False, True), DEPARTURES, FAILURES, STOPS, STAGES, (False, True))
    count = 0
    for report, warned, departure, failure, stop, stage, trained in combinations:
        count += 1
        ending = classify(evidence_of(report, warned, departure, failure, stop, stage, trained))
        reason = expected(report, warned, departure, failure, stop and stop.reason, stage, trained)
        if ending.reason is not reason or not ending.text:
            wrong.append(((report, warned, departure, failure, stop and stop.reason, stage, trained), ending, reason))

    assert wrong[:5] == []
    assert count == 13 * 2 * 7 * 11 * 3 * 4 * 2
