"""What is kept from one server of a state folder to the next.

ministack writes the state of its services when it is told to end, and reads it at the next start; objects of S3 lie on
the disk all the time. Nothing that ran survives: its executions end as failed, so that whoever waits for them hears of
it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

from runctl.local.emulator.mends.endings import finish
from runctl.local.emulator.seam import module

CUT_OFF_ERROR: Final = "States.Runtime"
CUT_OFF_CAUSE: Final = "The local cloud went down while this execution ran."

_MARKED_BY_MINISTACK: Final = "States.ServiceRestart"


def prepare(services_dir: Path, objects_dir: Path) -> None:
    """Make the folders agree, before ministack reads them.

    Objects without any state of the services belong to an account of which nothing else is left: its server was killed
    before it ended once. They would stand in the way of buckets of the same name.
    """
    if not (services_dir / "cloudformation.json").exists():
        shutil.rmtree(objects_dir, ignore_errors=True)
        shutil.rmtree(services_dir, ignore_errors=True)


def end_cut_off_executions() -> None:
    """End the executions that ran when the last server ended, with history and event.

    ministack has set their status and nothing more.
    """
    for execution in _executions():
        if execution.get("error") == _MARKED_BY_MINISTACK:
            execution["status"] = "RUNNING"
            finish(execution, "FAILED", error=CUT_OFF_ERROR, cause=CUT_OFF_CAUSE)


def keep_nothing() -> None:
    """Let this server end without writing: its folder was removed, or belongs to another by now."""
    module("app").PERSIST_STATE = False
    module("core.persistence").PERSIST_STATE = False


def _executions() -> list[dict[str, Any]]:
    return list(module("services.stepfunctions")._executions.all_values())
