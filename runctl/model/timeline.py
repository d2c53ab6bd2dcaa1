"""The timeline: what happened to a run, in the order in which it happened."""

from enum import StrEnum
from typing import Any

from runctl.model.base import Model, UtcDatetime
from runctl.model.ids import AttemptNumber, RunId


class TimelineKind(StrEnum):
    """Kinds of timeline events."""

    SUBMITTED = "submitted"
    ADMITTED = "admitted"
    LAUNCH_REFUSED = "launch_refused"
    LAUNCHED = "launched"
    READY = "ready"
    COMMAND_SENT = "command_sent"
    TRAINING_STARTED = "training_started"
    CHECKPOINT_SAVED = "checkpoint_saved"
    WARNING = "warning"
    REBALANCE = "rebalance"
    INTERRUPTION_WARNING = "interruption_warning"
    WAITING_FOR_HAND_OVER = "waiting_for_hand_over"
    HANDED_OVER = "handed_over"
    TRAINING_ENDED = "training_ended"
    COMMAND_FAILED = "command_failed"
    MACHINE_GONE = "machine_gone"
    ATTEMPT_ENDED = "attempt_ended"
    RECOVERING = "recovering"
    WAITING_FOR_CAPACITY = "waiting_for_capacity"
    LIMIT_NEAR = "limit_near"
    EXTENDED = "extended"
    STOP_REQUESTED = "stop_requested"
    EXECUTION_STOPPED = "execution_stopped"
    MACHINE_TERMINATED = "machine_terminated"
    LATE_EVIDENCE = "late_evidence"
    CONCLUDED = "concluded"
    NOTIFIED = "notified"


class TimelineEvent(Model):
    """One item `RUN#<id> / EVENT#<time>#<event id>` of the runs table.

    `event_id` is derived from what happened (kind, attempt, try), never random, so that a repeated write is the
    same item.
    """

    run_id: RunId
    event_id: str
    at: UtcDatetime
    kind: TimelineKind
    attempt: AttemptNumber | None = None
    text: str
    """One sentence for people."""
    data: dict[str, Any] = {}
