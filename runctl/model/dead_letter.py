"""What lies in the dead-letter queue: an event that could not be delivered, or that its function failed on for good."""

from enum import StrEnum

from runctl.model.base import Model, UtcDatetime


class LetterSource(StrEnum):
    """Who put a dead letter away."""

    RULE = "rule"
    """EventBridge, which could not deliver to a rule's target."""
    SCHEDULE = "schedule"
    """EventBridge Scheduler, which could not deliver to a schedule's target."""
    FUNCTION = "function"
    """Lambda, after a function's last failure or when the event had become too old."""
    UNKNOWN = "unknown"
    """Something else: the message has no shape that we know."""


class DeadLetter(Model):
    """One message of the queue."""

    message_id: str
    source: LetterSource
    origin: str = ""
    """ARN of the rule or the schedule; of a function's failure there is none."""
    target: str = ""
    """ARN of the function that it was for, without a version; empty when nobody knows."""
    put_away_at: UtcDatetime
    why: str
    """What the service or the function said, in a sentence."""
    about: str = ""
    """What the event is, in AWS's words: its detail type, and whom it concerns."""
    payload: str = ""
    """What the function is invoked with, as JSON."""
    is_whole: bool = True
    """False when the service cut the payload off; it cannot be sent again then."""
