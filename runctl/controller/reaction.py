"""What follows a new fact: the waiting state is answered, or a run that no state waits for is concluded."""

from runctl.controller.answers import answer
from runctl.controller.conclusion import Concluding, conclude
from runctl.controller.ports import TaskTokens
from runctl.model.attempt import Attempt, FactKind
from runctl.model.ids import AttemptNumber, RunId


def react(run_id: RunId, number: AttemptNumber, *, tokens: TaskTokens, ports: Concluding) -> str:
    """Do what the facts now call for; answers a word for the log: `woken`, `concluded` or `nothing`."""
    run, attempt = ports.runs.run(run_id), ports.runs.attempt(run_id, number)
    if run is None or attempt is None or run.status.is_terminal or run.attempt != number:
        return "nothing"
    if run.execution_ended:
        if not is_settled(attempt):
            return "nothing"
        conclude(run_id, ports)
        return "concluded"
    return "woken" if answer(run, attempt, tokens=tokens) else "nothing"


def is_settled(attempt: Attempt) -> bool:
    """Whether there is nothing left to wait for: the training reported its end, or the machine is going."""
    return FactKind.ENDED in attempt.facts or FactKind.GONE in attempt.facts or attempt.reason is not None
