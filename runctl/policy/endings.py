"""Why an attempt ended: all evidence in, one reason out. Total: every combination of evidence has an answer.

In order of weight: the agent's own report (or its final marker), what EC2 says of the machine, the error that the
state machine caught. A stop request explains an end that nothing else explains.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, cast

from runctl import errors
from runctl.model.attempt import Attempt, FactKind, Wait
from runctl.model.aws_codes import AwsCodeKind, kind_of
from runctl.model.decision import StepFailure
from runctl.model.machine import MachineState, MachineView
from runctl.model.run import StopRequest
from runctl.model.status import Reason
from runctl.policy import facts, sentences
from runctl.policy.unready import what_was_seen

HEARTBEAT_TIMEOUT = "States.HeartbeatTimeout"
TIMEOUT = "States.Timeout"
"""Step Functions Developer Guide, "Handling errors in Step Functions workflows": error names."""

_ERROR_NAMED: dict[str, type[errors.RunctlError]] = {
    name: error
    for name, error in vars(errors).items()
    if isinstance(error, type) and issubclass(error, errors.RunctlError)
}


@dataclass(frozen=True)
class Evidence:
    """What is known when an attempt has come to an end. The facts of the attempt include the final marker's."""

    attempt: Attempt
    stop_request: StopRequest | None = None
    failure: StepFailure | None = None
    """What the state machine caught."""
    machine_state: MachineState | None = None
    online: bool | None = None
    """SSM's answer; None when it was not asked."""
    trained: bool = False
    """Whether the state machine's `Train` was answered with success, which only a report of success does."""
    view: MachineView | None = None
    """The machine as EC2 shows it now, where that was asked."""
    console: str | None = None
    """What a machine that did not become reachable printed; None when it was not asked."""
    departure: facts.Departure | None = None
    """How the machine went, as EC2 shows it now; it says why where the event of its end came before EC2 did."""


@dataclass(frozen=True)
class Ending:
    """One reason, and the sentence of what was seen that gave it."""

    reason: Reason
    text: str
    exit_code: int | None = None
    is_passing: bool = False
    """Nothing has ended: AWS did not answer, or said slow down, for longer than a step is tried again. The same attempt
    goes on when that is over."""


PASSING: Final = frozenset(
    {
        errors.Throttled.__name__,
        errors.AwsUnavailable.__name__,
        "Lambda.TooManyRequestsException",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.ClientExecutionTimeoutException",
    }
)
"""Errors of a step that say nothing of the attempt (Step Functions Developer Guide, "Handle transient Lambda service
exceptions"). They are waited out like a lack of capacity."""


def classify(evidence: Evidence) -> Ending:
    """Give an attempt's end its one reason."""
    return (
        _from_report(evidence)
        or _from_success(evidence)
        or _from_departure(evidence)
        or _from_failure(evidence)
        or _from_warning(evidence)
        or _rest(evidence)
    )


def _from_report(evidence: Evidence) -> Ending | None:
    ended = facts.report(evidence.attempt)
    if ended is None:
        return None
    if facts.is_success(ended):
        return Ending(Reason.COMPLETED, "The training ended with exit code 0.", 0)
    requested = evidence.stop_request is not None
    error = facts.error_of_report(ended, evidence.attempt, stop_requested=requested)
    return Ending(_reason_of(error, evidence), sentences.training_ended(ended), ended.exit_code)


def _from_success(evidence: Evidence) -> Ending | None:
    return Ending(Reason.COMPLETED, "The training ended with exit code 0.", 0) if evidence.trained else None


def _from_departure(evidence: Evidence) -> Ending | None:
    gone = facts.departure(evidence.attempt)
    if gone is None:
        return None
    if not gone.state_reason and evidence.departure is not None:
        gone = evidence.departure
    if evidence.stop_request is not None:
        return Ending(evidence.stop_request.reason, sentences.stop_requested(evidence.stop_request))
    if facts.is_interrupted(evidence.attempt) or gone.is_spot_interruption:
        return Ending(Reason.SPOT_INTERRUPTION, sentences.interrupted(evidence.attempt))
    text = sentences.lost(evidence.attempt, gone)
    if FactKind.READY in evidence.attempt.facts:
        return Ending(Reason.MACHINE_LOST, text)
    # It never came up: then EC2's reason is a refusal to launch, only later than CreateFleet's answer.
    match kind_of(gone.state_reason):
        case AwsCodeKind.CAPACITY:
            return Ending(Reason.CAPACITY, text)
        case AwsCodeKind.QUOTA:
            return Ending(Reason.QUOTA, text)
        case AwsCodeKind.PERMISSION:
            return Ending(Reason.PERMISSION, text)
        case _:
            return Ending(Reason.MACHINE_LOST, text)


def _from_failure(evidence: Evidence) -> Ending | None:
    failure = evidence.failure
    if failure is None:
        return None
    if failure.Error in (HEARTBEAT_TIMEOUT, TIMEOUT):
        return _timed_out(evidence, failure.Error)
    if failure.Error in PASSING and evidence.stop_request is None:
        said = message_of(failure)
        text = f"AWS did not do what it was asked for ({failure.Error}" + (f": {said.rstrip('.')})." if said else ").")
        return Ending(Reason.CAPACITY, text, is_passing=True)
    error = _ERROR_NAMED.get(failure.Error)
    if error is None or error.reason is Reason.CONTROLLER:
        return None
    return Ending(_reason_of(error, evidence), message_of(failure) or f"{failure.Error} was reported without a word.")


def _from_warning(evidence: Evidence) -> Ending | None:
    """EC2's warning, where nothing was heard of the machine after it."""
    if not evidence.attempt.is_draining or evidence.stop_request is not None:
        return None
    return Ending(Reason.SPOT_INTERRUPTION, sentences.interrupted(evidence.attempt))


def _timed_out(evidence: Evidence, error: str) -> Ending | None:
    attempt = evidence.attempt
    seen = sentences.machine_state(evidence.machine_state, evidence.online)
    if Wait.TRAIN in attempt.tokens:
        if evidence.stop_request is not None:
            return Ending(evidence.stop_request.reason, sentences.stop_requested(evidence.stop_request))
        if error == TIMEOUT:
            return Ending(Reason.TIMEOUT, "The training reached the run's time limit and did not end by itself.")
        if facts.is_interrupted(attempt):
            return Ending(Reason.SPOT_INTERRUPTION, sentences.interrupted(attempt))
        return Ending(Reason.MACHINE_LOST, f"The {sentences.machine(attempt)} sent no heartbeat any more; {seen}.")
    # The machine's word may come in the very moment in which the waiting for it ends.
    if Wait.READY in attempt.tokens and (FactKind.READY not in attempt.facts or error == TIMEOUT):
        if evidence.stop_request is not None:
            return Ending(evidence.stop_request.reason, sentences.stop_requested(evidence.stop_request))
        seen = what_was_seen(evidence.machine_state, evidence.online, evidence.view, evidence.console)
        return Ending(
            Reason.MACHINE_NOT_READY, f"The {sentences.machine(attempt)} did not become reachable in time; {seen}"
        )
    return None


def _rest(evidence: Evidence) -> Ending:
    if evidence.stop_request is not None:
        return Ending(evidence.stop_request.reason, sentences.stop_requested(evidence.stop_request))
    failure = evidence.failure
    if failure is None:
        return Ending(Reason.CONTROLLER, "The attempt ended and nothing says why.")
    detail = message_of(failure)
    return Ending(Reason.CONTROLLER, f"The controller failed with {failure.Error}" + (f": {detail}" if detail else "."))


def _reason_of(error: type[errors.RunctlError], evidence: Evidence) -> Reason:
    """`StopRequested` stands for whatever the stop request says."""
    if error is errors.StopRequested and evidence.stop_request is not None:
        return evidence.stop_request.reason
    return error.reason


def message_of(failure: StepFailure) -> str:
    """Read the sentence of a caught error. A Lambda that raised leaves JSON with `errorMessage` as the Cause; our
    own SendTaskFailure leaves the sentence itself."""
    try:
        parsed: Any = json.loads(failure.Cause)
    except ValueError:
        return sentences.shorten(failure.Cause)
    if isinstance(parsed, dict):
        document = cast("dict[str, Any]", parsed)
        return sentences.shorten(str(document.get("errorMessage", "")))
    return sentences.shorten(failure.Cause)
