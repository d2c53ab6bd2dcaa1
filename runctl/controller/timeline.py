"""Timeline events with ids that say what happened, so that a repeated write is the same item."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from runctl.model.attempt import Attempt
from runctl.model.ids import RunId
from runctl.model.timeline import TimelineEvent, TimelineKind


def event_of_run(
    run_id: RunId, kind: TimelineKind, at: datetime, text: str, *, data: Mapping[str, Any] | None = None
) -> TimelineEvent:
    """Make an event that happens to a run once."""
    return TimelineEvent(run_id=run_id, event_id=kind.value, at=at, kind=kind, text=text, data=dict(data or {}))


def event_of_attempt(
    attempt: Attempt,
    kind: TimelineKind,
    at: datetime,
    text: str,
    *,
    detail: str = "",
    data: Mapping[str, Any] | None = None,
) -> TimelineEvent:
    """Make an event that happens to an attempt once, or once for each `detail` (a try, a checkpoint's name)."""
    event_id = f"{kind.value}-{attempt.number:04d}" + (f"-{detail}" if detail else "")
    return TimelineEvent(
        run_id=attempt.run_id,
        event_id=event_id,
        at=at,
        kind=kind,
        attempt=attempt.number,
        text=text,
        data=dict(data or {}),
    )
