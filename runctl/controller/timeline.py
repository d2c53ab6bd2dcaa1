"""Timeline events with ids that say what happened, so that a repeated write is the same item."""

from collections.abc import Mapping, Sequence
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


def warnings_of_attempt(attempt: Attempt, at: datetime, texts: Sequence[str], when: str) -> list[TimelineEvent]:
    """Make the events of what an agent warned of. A machine wrote them: they are few and short."""
    return [
        event_of_attempt(
            attempt, TimelineKind.WARNING, at, _as_sentence(text[:_WARNING_CHARACTERS]), detail=f"{when}-{place}"
        )
        for place, text in enumerate(texts[:_WARNINGS], start=1)
    ]


_WARNINGS = 5
_WARNING_CHARACTERS = 500


def _as_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
