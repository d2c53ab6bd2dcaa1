"""What follows a new fact: a fence is opened, the waiting state is answered, or the run is concluded."""

from runctl.controller.answers import answer
from runctl.controller.conclusion import Concluding, conclude
from runctl.controller.hand_over import close_attempts, hand_over
from runctl.controller.ports import TaskTokens
from runctl.model.attempt import Attempt
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.run import Run
from runctl.policy import hand_over as policy


def react(run_id: RunId, number: AttemptNumber, *, tokens: TaskTokens, ports: Concluding) -> str:
    """Do what the facts now call for; answers a word for the log: `woken`, `concluded`, `handed over` or `nothing`."""
    run, attempts = ports.runs.run(run_id), ports.runs.attempts(run_id)
    current = next((each for each in attempts if run is not None and each.number == run.attempt), None)
    if run is None or current is None or run.status.is_terminal or number > run.attempt:
        return "nothing"
    if run.execution_ended:
        if not is_settled(run, attempts):
            return "nothing"
        conclude(run_id, ports)
        return "concluded"
    if number < run.attempt:
        attempts = _close_earlier(run, attempts, ports)
    if _is_over(run, current, attempts):
        conclude(run_id, ports)
        return "concluded"
    if answer(run, current, attempts, tokens=tokens):
        return "woken"
    if current.number > 1 and hand_over(
        run_id, runs=ports.runs, machines=ports.machines, bucket=ports.bucket, at=ports.now()
    ):
        return "handed over"
    return "nothing"


def is_settled(run: Run, attempts: tuple[Attempt, ...]) -> bool:
    """Whether there is nothing left to wait for: each attempt has ended, reported its training's end, or holds no
    machine that could; the current one's machine is known, or none is being launched."""
    return all(
        attempt.is_settled or (attempt.number != run.attempt and policy.holds_nothing(attempt)) for attempt in attempts
    )


def _close_earlier(run: Run, attempts: tuple[Attempt, ...], ports: Concluding) -> tuple[Attempt, ...]:
    earlier = [attempt for attempt in attempts if attempt.number < run.attempt]
    closed = close_attempts(run, earlier, runs=ports.runs, machines=ports.machines, bucket=ports.bucket, at=ports.now())
    return (*closed, *(attempt for attempt in attempts if attempt.number >= run.attempt))


def _is_over(run: Run, current: Attempt, attempts: tuple[Attempt, ...]) -> bool:
    """Whether the run ends while the current attempt waits for a machine to be had: then no token is there to answer,
    and the state machine finds the run ended when it tries again."""
    earlier = [attempt for attempt in attempts if attempt.number < current.number]
    if not policy.holds_nothing(current) or not all(attempt.is_settled for attempt in earlier):
        return False
    return policy.verdict(run, earlier) is not None or (bool(earlier) and run.stop_request is not None)
