"""Which errors a retrier or catcher matches, and how long a retry waits.

Source: Step Functions Developer Guide, "Handling errors in Step Functions workflows" (concepts-error-handling).
"""

from __future__ import annotations

import random
from typing import Any, Final

_NEVER_BY_WILDCARD: Final = {"States.Runtime", "States.DataLimitExceeded"}
"""Terminal errors, which States.ALL and States.TaskFailed do not match."""


def matches(error_equals: list[str], error: str) -> bool:
    """Say whether a retrier's or catcher's `ErrorEquals` matches the error's name.

    `States.Timeout` also stands for a task that failed to send a heartbeat; `States.TaskFailed` is any error but
    `States.Timeout`.
    """
    if error in error_equals:
        return True
    if error == "States.HeartbeatTimeout" and "States.Timeout" in error_equals:
        return True
    if error in _NEVER_BY_WILDCARD:
        return False
    return "States.ALL" in error_equals or ("States.TaskFailed" in error_equals and error != "States.Timeout")


def delay_s(retrier: dict[str, Any], retries_before: int) -> float:
    """Seconds before the next retry: IntervalSeconds, BackoffRate, MaxDelaySeconds, JitterStrategy FULL."""
    delay = float(retrier.get("IntervalSeconds", 1)) * float(retrier.get("BackoffRate", 2.0)) ** retries_before
    if "MaxDelaySeconds" in retrier:
        delay = min(delay, float(retrier["MaxDelaySeconds"]))
    if retrier.get("JitterStrategy", "NONE") == "FULL":
        delay = random.uniform(0, delay)
    return delay
