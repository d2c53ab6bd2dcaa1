"""Telling people something of a run: each thing once, and only what the run wants told."""

from datetime import datetime

from runctl.controller.ports import Notifications, RunStore
from runctl.model.ids import RunId
from runctl.model.notice import NoticeKind
from runctl.model.run import Run


def tell(
    run: Run,
    kind: NoticeKind,
    text: str,
    *,
    runs: RunStore,
    notifications: Notifications,
    at: datetime,
    detail: str = "",
) -> bool:
    """Tell people one thing of a run, once for each kind and `detail` (a limit that may be raised); says whether it
    was told now.

    Written down after it was sent: a fault between the two tells it twice, and never leaves it out.
    """
    if not run.spec.notify.wants(kind):
        return False
    subject = f"runctl: {run.name} {_SUBJECTS[kind]}"
    return tell_once(
        run.run_id,
        kind,
        subject,
        f"{run.name} ({run.run_id}), project {run.project}, {run.user}:\n{text}",
        runs=runs,
        notifications=notifications,
        at=at,
        detail=detail,
    )


def tell_once(
    run_id: RunId,
    kind: NoticeKind,
    subject: str,
    text: str,
    *,
    runs: RunStore,
    notifications: Notifications,
    at: datetime,
    detail: str = "",
) -> bool:
    """Send a message unless the same was sent before; says whether it was sent now."""
    key = f"{kind.value}#{detail}" if detail else kind.value
    if runs.was_told(run_id, key):
        return False
    notifications.send(subject, text)
    runs.record_told(run_id, key, at)
    return True


_SUBJECTS = {
    NoticeKind.SUCCEEDED: "SUCCEEDED",
    NoticeKind.FAILED: "FAILED",
    NoticeKind.STOPPED: "STOPPED",
    NoticeKind.CANCELLED: "CANCELLED",
    NoticeKind.MONEY: "has used 80 % of its money",
    NoticeKind.TIME: "has used 80 % of its time",
    NoticeKind.NO_CAPACITY: "waits for a machine",
    NoticeKind.FELL_BACK: "goes on on demand",
    NoticeKind.NO_PROGRESS: "shows no progress",
    NoticeKind.WITHOUT_RUN: "costs without a run",
}
