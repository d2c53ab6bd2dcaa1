"""Counting what Step Functions charges for in the history of an execution."""

from collections.abc import Iterable
from typing import Final

_SCHEDULED: Final = frozenset({"TaskScheduled", "LambdaFunctionScheduled", "ActivityScheduled"})


def count_transitions(event_types: Iterable[str]) -> int:
    """Count the state transitions of a history without parallel branches, from its event types in order.

    Each state that is entered is one, and so is each retry ("AWS Step Functions Pricing": a state transition is counted
    each time a step is executed, retries included). A retry enters no state: it is the second and every further time
    that a task is scheduled since its state was entered.
    """
    transitions = 0
    scheduled = 0
    for kind in event_types:
        if kind.endswith("StateEntered"):
            transitions += 1
            scheduled = 0
        elif kind in _SCHEDULED:
            transitions += scheduled > 0
            scheduled += 1
    return transitions
