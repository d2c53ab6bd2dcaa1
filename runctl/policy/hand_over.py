"""Handing a run over from a machine that is being taken back to the one that replaces it: who may train, until when.

A machine that EC2 has warned saves, and may train on, while its replacement boots and prepares. The replacement stands
at a *fence*: it trains only when no earlier machine of the run can train any more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from runctl.model import timing
from runctl.model.attempt import Attempt, FactKind
from runctl.model.base import clock_text
from runctl.model.run import Run
from runctl.model.status import Reason
from runctl.policy import facts, sentences
from runctl.policy.endings import Ending, Evidence, classify
from runctl.policy.extending import was_extended_since
from runctl.policy.recovery import USERS_OWN

NOTICE_IS_OVER_AFTER: Final = timing.SPOT_NOTICE + timing.POWER_OFF_DELAY
"""From EC2's warning: by then EC2 has ended the machine, or its agent has powered it off. More than SPOT_NOTICE."""


@dataclass(frozen=True)
class Fence:
    """Whether the replacement may train, and the sentence that says why, or what is waited for."""

    is_open: bool
    text: str


def fence(earlier: Sequence[Attempt], now: datetime) -> Fence:
    """Decide whether the machine after these attempts may train. It may when each of them is out: it has ended, EC2
    says that it is going, or its notice and a minute have passed."""
    training = next((attempt for attempt in earlier if not is_out(attempt, now)), None)
    if training is not None:
        limit = leaves_at(training)
        until = "" if limit is None else f", until {clock_text(limit)} at the latest"
        return Fence(is_open=False, text=f"The {sentences.machine(training)} may still train{until}.")
    last = next((attempt for attempt in reversed(earlier) if attempt.instance_id is not None), None)
    return Fence(is_open=True, text="No earlier machine trains." if last is None else _why_out(last))


def is_out(attempt: Attempt, now: datetime) -> bool:
    """Whether an attempt cannot train any more."""
    if attempt.instance_id is None or attempt.is_settled:
        return True
    limit = leaves_at(attempt)
    return limit is not None and now >= limit


def leaves_at(attempt: Attempt) -> datetime | None:
    """When a warned machine is out whatever is heard of it; None for one that was not warned."""
    warned = attempt.facts.get(FactKind.WARNED)
    return None if warned is None else warned.at + NOTICE_IS_OVER_AFTER


def open_attempts(attempts: Iterable[Attempt]) -> tuple[Attempt, ...]:
    """Those that have not got their reason yet."""
    return tuple(attempt for attempt in attempts if attempt.reason is None)


def holds_nothing(attempt: Attempt) -> bool:
    """Whether no machine was launched and no CreateFleet is under way: nothing would ever report its end."""
    in_flight = attempt.launch is not None and attempt.launch.answered_at is None
    return attempt.instance_id is None and not in_flight


def verdict(run: Run, earlier: Iterable[Attempt]) -> Ending | None:
    """Tell how an earlier attempt has ended the whole run, so that the current one is not needed; None if none has.

    It finished, reached the run's time limit (and that was not raised since), or failed by itself more often than the
    run is tried again. What is reported after an attempt got its reason counts no more.
    """
    failures = 0
    until: list[Attempt] = []
    for attempt in earlier:
        until.append(attempt)
        ending = _ending_of(run, attempt)
        if ending is None:
            continue
        if ending.reason is Reason.COMPLETED:
            return ending
        if ending.reason is Reason.TIMEOUT and not was_extended_since(run, until, _ended_at(attempt)):
            return ending
        if ending.reason in USERS_OWN:
            failures += 1
            codes = run.spec.retry_exit_codes
            if failures > run.spec.retries or (codes and ending.exit_code not in codes):
                return ending
    return None


def not_needed(number: int, ending: Ending) -> Ending:
    """How the current attempt ends when an earlier one, `number`, has ended the run."""
    return Ending(ending.reason, f"An earlier machine of the run has ended it, so attempt {number} is not needed.")


def _ended_at(attempt: Attempt) -> datetime:
    ended = attempt.facts.get(FactKind.ENDED)
    return attempt.ended_at or (attempt.created_at if ended is None else ended.at)


def _ending_of(run: Run, attempt: Attempt) -> Ending | None:
    if attempt.reason is not None:
        return Ending(attempt.reason, attempt.evidence, attempt.exit_code)
    if facts.report(attempt) is None:
        return None
    return classify(Evidence(attempt=attempt, stop_request=run.stop_request))


def _why_out(attempt: Attempt) -> str:
    machine = sentences.machine(attempt)
    if FactKind.ENDED in attempt.facts:
        return f"The {machine} has saved and left."
    if FactKind.GONE in attempt.facts:
        return f"EC2 says that the {machine} is going."
    if attempt.reason is not None:
        return f"The attempt on the {machine} has ended."
    return f"The notice of the {machine} is over."
