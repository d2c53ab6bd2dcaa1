"""The one place that answers task tokens."""

from runctl.controller.ports import RunStore, TaskTokens
from runctl.model.attempt import Attempt, Wait
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.run import Run
from runctl.policy.waiting import Fail, outcome


def answer_waiting(run_id: RunId, number: AttemptNumber, *, runs: RunStore, tokens: TaskTokens) -> bool:
    """Answer the waiting state of an attempt when the facts say how; tells whether it was woken by this call.

    Reads the run and the attempt strongly consistent. Whoever wrote a fact, a token or a stop request calls this
    afterwards, so that the last of them finds all the others.
    """
    run, attempt = runs.run(run_id), runs.attempt(run_id, number)
    return run is not None and attempt is not None and answer(run, attempt, tokens=tokens)


def answer(run: Run, attempt: Attempt, *, tokens: TaskTokens) -> bool:
    """Answer by what has just been read. A token that is spent, timed out or unknown is fine."""
    if not is_current(run, attempt):
        return False
    wait = Wait.TRAIN if Wait.TRAIN in attempt.tokens else Wait.READY
    token = attempt.tokens.get(wait)
    found = outcome(wait, attempt, run.stop_request)
    if token is None or found is None:
        return False
    if isinstance(found, Fail):
        return tokens.fail(token, found.error, found.cause)
    return tokens.succeed(token, found.output)


def is_current(run: Run, attempt: Attempt) -> bool:
    """Whether the attempt is the one that the run now waits for: facts of another one never touch it."""
    return not run.status.is_terminal and run.attempt == attempt.number and attempt.reason is None
