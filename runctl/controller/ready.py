"""The fact `ready`: SSM says Online."""

from datetime import datetime

from runctl.controller.ports import RunStore
from runctl.controller.timeline import event_of_attempt
from runctl.model.attempt import Attempt, Fact, FactKind
from runctl.model.timeline import TimelineKind
from runctl.policy import sentences


def record_ready(runs: RunStore, attempt: Attempt, at: datetime) -> bool:
    """Write that SSM reaches the machine; tells whether it was news."""
    text = f"The {sentences.machine(attempt)} is reachable through SSM."
    event = event_of_attempt(attempt, TimelineKind.READY, at, text)
    return runs.record_fact(attempt.run_id, attempt.number, FactKind.READY, Fact(at=at), event)
