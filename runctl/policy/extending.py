"""What an extension makes of a run: more time, more money, or a sentence that says why not."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from runctl.errors import InvalidSpec
from runctl.model import timing
from runctl.model.attempt import Attempt
from runctl.model.extension import Extension
from runctl.model.run import MAX_RUNTIME_LIMIT_S, LimitKind, Run
from runctl.policy import sentences
from runctl.policy.budget_limits import AGENT_GOES_FIRST
from runctl.policy.cost import usd
from runctl.policy.runtime import runtime_left

LARGEST_USD: Final = Decimal(10) ** 9


def extended(run: Run, extension: Extension) -> Run:
    """The run with the limits that are asked for; an equal one when it has them already.

    Raises InvalidSpec for a run that is ending or has ended, for limits that no run may have, and for an addition to a
    limit that is another by now.
    """
    refuse_unless_live(run)
    spec, told = run.spec, run.limits_told
    changes: dict[str, object] = {}
    if extension.max_runtime_s is not None:
        _refuse_runtime(spec.max_runtime_s, extension.max_runtime_s, extension.added_to_runtime_s)
        if extension.max_runtime_s != spec.max_runtime_s:
            changes["max_runtime_s"] = extension.max_runtime_s
            told = tuple(each for each in told if each is not LimitKind.TIME)
    if extension.max_cost_usd is not None:
        _refuse_cost(spec.max_cost_usd, extension.max_cost_usd, extension.added_to_cost_usd)
        if extension.max_cost_usd != spec.max_cost_usd:
            changes["max_cost_usd"] = extension.max_cost_usd
            told = tuple(each for each in told if each is not LimitKind.MONEY)
    if not changes:
        return run
    update = {"spec": spec.model_copy(update=changes), "limits_told": told, "extensions": run.extensions + 1}
    return run.model_copy(update=update)


def was_extended_since(run: Run, attempts: Iterable[Attempt], now: datetime) -> bool:
    """Whether a training that left at its time limit has time again: it was asked to leave just before the run was
    extended. The attempts are all until then."""
    return run.extensions > 0 and run.machine is None and runtime_left(run.spec, attempts, now) > AGENT_GOES_FIRST


def extension_text(before: Run, after: Run, by: str) -> str:
    """Say what an extension changed."""
    parts: list[str] = []
    if after.spec.max_runtime_s != before.spec.max_runtime_s:
        parts.append(f"train for {_runtime(after.spec.max_runtime_s)} instead of {_runtime(before.spec.max_runtime_s)}")
    if after.spec.max_cost_usd != before.spec.max_cost_usd:
        assert after.spec.max_cost_usd is not None
        assert before.spec.max_cost_usd is not None
        parts.append(f"cost {usd(after.spec.max_cost_usd)} instead of {usd(before.spec.max_cost_usd)}")
    asked = f" ({by})" if by else ""
    return f"The run may {' and '.join(parts)}{asked}."


def refuse_unless_live(run: Run) -> None:
    """Raise InvalidSpec for a run that is ending or has ended."""
    again = f"Go on from what it saved: runctl resume {run.run_id}"
    if run.status.is_terminal:
        raise InvalidSpec(f"Run {run.run_id} has ended; only a live run is extended.", hint=again)
    if run.stop_request is not None:
        raise InvalidSpec(
            f"Run {run.run_id} was asked to stop already, and saves.",
            hint=f"When it has ended: runctl resume {run.run_id}",
        )


def _refuse_runtime(now_s: int, asked_s: int, added_to_s: int | None) -> None:
    if asked_s > MAX_RUNTIME_LIMIT_S:
        limit = sentences.duration(timing.MAX_RUNTIME_LIMIT)
        raise InvalidSpec(f"{_runtime(asked_s)} is more than the {limit} that a run may train, extensions included.")
    if asked_s < now_s:
        raise InvalidSpec(
            f"It may train for {_runtime(now_s)} already; {_runtime(asked_s)} would be less.",
            hint="An extension only adds: --max-runtime +2h",
        )
    if added_to_s not in (None, now_s) and asked_s != now_s:
        raise InvalidSpec(
            f"Somebody else has changed its time limit meanwhile: it is {_runtime(now_s)} now. Nothing was changed."
        )


def _refuse_cost(now_usd: Decimal | None, asked_usd: Decimal, added_to_usd: Decimal | None) -> None:
    if now_usd is None:
        raise InvalidSpec("It has no limit to its cost, so that there is nothing to extend.")
    if asked_usd > LARGEST_USD:
        raise InvalidSpec(f"${asked_usd:,.0f} is more than any run may cost.")
    if asked_usd < now_usd:
        raise InvalidSpec(
            f"It may cost {usd(now_usd)} already; {usd(asked_usd)} would be less.",
            hint="An extension only adds: --max-cost +5",
        )
    if added_to_usd not in (None, now_usd) and asked_usd != now_usd:
        raise InvalidSpec(
            f"Somebody else has changed its cost limit meanwhile: it is {usd(now_usd)} now. Nothing was changed."
        )


def _runtime(seconds: int) -> str:
    return sentences.duration(timedelta(seconds=seconds))
