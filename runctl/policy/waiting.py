"""What a waiting state is answered, from the facts of its attempt: docs/architecture.md, "Facts first, then tokens"."""

from dataclasses import dataclass, field
from typing import Any

from runctl.errors import AttemptEnded, MachineLost, MachineNotReady, NotNeeded, SpotInterruption, StopRequested
from runctl.model.attempt import Attempt, FactKind, Wait
from runctl.model.base import iso
from runctl.model.run import StopRequest
from runctl.policy import facts, sentences
from runctl.policy.endings import Ending


@dataclass(frozen=True)
class Succeed:
    """The waiting state goes on."""

    output: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Fail:
    """The waiting state fails with the class name of an error of ours, and our sentence."""

    error: str
    cause: str


Outcome = Succeed | Fail


def outcome(
    wait: Wait,
    attempt: Attempt,
    stop_request: StopRequest | None,
    *,
    verdict: Ending | None = None,
    is_replaceable: bool = True,
) -> Outcome | None:
    """Tell what a waiting state is answered now; None: it goes on waiting.

    `verdict` is how an earlier attempt has ended the run; `is_replaceable` whether another machine may be launched in
    place of this one, which is not so for a machine that a user gave.
    """
    if wait is Wait.READY:
        return _ready(attempt, stop_request, verdict)
    return _train(attempt, stop_request, verdict, is_replaceable)


def _fail(error: type[AttemptEnded], cause: str) -> Fail:
    return Fail(error.__name__, cause)


def _ready(attempt: Attempt, stop_request: StopRequest | None, verdict: Ending | None) -> Outcome | None:
    gone = facts.departure(attempt)
    if verdict is not None:
        return _fail(NotNeeded, verdict.text)
    if stop_request is not None:
        return _fail(StopRequested, sentences.stop_requested(stop_request))
    if facts.is_interrupted(attempt):
        return _fail(SpotInterruption, sentences.interrupted(attempt, "before it was ready"))
    if gone is not None:
        return _fail(MachineLost, sentences.lost(attempt, gone))
    if FactKind.READY in attempt.facts:
        return Succeed({"instance_id": attempt.instance_id})
    return None


def _train(
    attempt: Attempt, stop_request: StopRequest | None, verdict: Ending | None, is_replaceable: bool
) -> Outcome | None:
    ended = facts.report(attempt)
    if ended is not None and facts.is_success(ended):
        return Succeed({"exit_code": 0, "why": str(ended.why), "ended_at": iso(ended.ended_at)})
    if verdict is not None:
        return _fail(NotNeeded, verdict.text)
    if ended is not None:
        error = facts.error_of_report(ended, attempt, stop_requested=stop_request is not None)
        return _fail(error, sentences.training_ended(ended))
    gone = facts.departure(attempt)
    if gone is not None:
        if stop_request is not None:
            return _fail(StopRequested, sentences.stop_requested(stop_request))
        if facts.is_interrupted(attempt):
            return _fail(SpotInterruption, sentences.interrupted(attempt, "before the training reported its end"))
        return _fail(MachineLost, sentences.lost(attempt, gone))
    failed = attempt.facts.get(FactKind.COMMAND_FAILED)
    if failed is not None and FactKind.STARTED not in attempt.facts and is_start_command(attempt, failed.data):
        return _fail(MachineNotReady, sentences.command_failed(attempt, str(failed.data.get("status", ""))))
    if attempt.is_draining and is_replaceable and stop_request is None:
        # Not its end: it saves and may train on while another machine is made ready.
        return _fail(SpotInterruption, sentences.taking_back(attempt))
    return None


def is_start_command(attempt: Attempt, data: dict[str, Any]) -> bool:
    """Whether the command that failed is the one that was to start this attempt; before its id is stored none is."""
    return attempt.command_id is not None and data.get("command_id") == attempt.command_id
