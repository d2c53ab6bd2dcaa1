"""What is changed in ministack so that it behaves as AWS does, one file a seam. docs/adr/0002 says why in-process."""

from __future__ import annotations

from pathlib import Path

from runctl.local.emulator.lambdas.nursery import Nurseries
from runctl.local.emulator.mends import (
    async_invocations,
    authorization,
    budgets,
    change_sets,
    dead_letters,
    deployment,
    history,
    lambda_executor,
    mail,
    missing_objects,
    multipart_uploads,
    schedules,
    start_and_stop,
    status_events,
    task_tokens,
    tasks,
    topics,
    walk,
)
from runctl.local.emulator.seam import require_pinned_version

__all__ = ["apply_all"]


def apply_all(functions_dir: Path) -> Nurseries:
    """Mend the ministack of this process, once, before it serves. Raises `MendDoesNotFit`.

    Code of functions is unpacked below `functions_dir`. Returns what has to be stopped when the process ends.
    """
    require_pinned_version()
    for mend in (
        history,
        status_events,
        walk,
        tasks,
        task_tokens,
        start_and_stop,
        async_invocations,
        dead_letters,
        deployment,
        budgets,
        change_sets,
        schedules,
        mail,
        topics,
        multipart_uploads,
        missing_objects,
        authorization,
    ):
        mend.apply()
    return lambda_executor.apply(functions_dir)
