"""The one place that answers task tokens."""

from collections.abc import Sequence

from runctl.controller.ports import RunStore, TaskTokens
from runctl.model.attempt import Attempt, Wait
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.run import Run
from runctl.policy import hand_over
from runctl.policy.waiting import Fail, outcome


def answer_waiting(run_id: RunId, number: AttemptNumber, *, runs: RunStore, tokens: TaskTokens) -> bool:
    """Answer the waiting state of an attempt when the facts say how; tells whether it was woken by this call.

    Reads the run and the attempt strongly consistent. Whoever wrote a fact, a token or a stop request calls this
    afterwards, so that the last of them finds all the others.
    """
    run = runs.run(run_id)
    if run is None or run.attempt != number:
        return False
    attempts = runs.attempts(run_id)
    attempt = next((each for each in attempts if each.number == number), None)
    return attempt is not None and answer(run, attempt, attempts, tokens=tokens)


def answer(run: Run, attempt: Attempt, attempts: Sequence[Attempt], *, tokens: TaskTokens) -> bool:
    """Answer by what has just been read; `attempts` are all of the run. A token that is spent, timed out or unknown is
    fine."""
    if not is_current(run, attempt):
        return False
    wait = Wait.TRAIN if Wait.TRAIN in attempt.tokens else Wait.READY
    token = attempt.tokens.get(wait)
    earlier = [each for each in attempts if each.number < attempt.number]
    found = outcome(
        wait,
        attempt,
        run.stop_request,
        verdict=hand_over.verdict(run, earlier),
        is_replaceable=run.machine is None,
    )
    if token is None or found is None:
        return False
    if isinstance(found, Fail):
        return tokens.fail(token, found.error, found.cause)
    return tokens.succeed(token, found.output)


def is_current(run: Run, attempt: Attempt) -> bool:
    """Whether the attempt is the one that the run now waits for: facts of another one never touch it."""
    return not run.status.is_terminal and run.attempt == attempt.number and attempt.reason is None


def counts(run: Run, attempt: Attempt) -> bool:
    """Whether what the attempt's machine says still counts: it is the current one, or hands over to the current one."""
    hands_over = not run.status.is_terminal and run.hand_over_from == attempt.number and attempt.reason is None
    return hands_over or is_current(run, attempt)
