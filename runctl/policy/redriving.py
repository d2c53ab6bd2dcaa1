"""Which dead letters can be sent again."""

from runctl.model.dead_letter import DeadLetter, LetterSource
from runctl.model.names import Function


def obstacle(letter: DeadLetter, functions: dict[str, Function]) -> str | None:
    """Say in a sentence why a letter stays where it is; None when it can be sent to its function again.

    `functions` are those of the deployment by their ARNs: what came from elsewhere into the queue is sent to nobody.
    """
    if letter.source is LetterSource.UNKNOWN:
        return letter.why
    if letter.target not in functions:
        return f"It was for {letter.target or 'nobody'}, which is no function of this deployment."
    if not letter.is_whole:
        return "EventBridge Scheduler has cut its payload off."
    return None
