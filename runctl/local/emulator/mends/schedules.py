"""Schedules fire within a second, and a schedule of a name that was used before fires as well.

AWS fires within the minute (EventBridge Scheduler User Guide, "Schedule types"); ministack looks every ten seconds, and
takes a new one-time schedule for fired when an earlier one of its name was.
"""

from __future__ import annotations

from typing import Any, Final

from runctl.local.emulator.seam import module, replace, replace_constant

_LOOK_EVERY_S: Final = 1


def apply() -> None:
    """Look more often, and forget a schedule's firing with the schedule."""
    scheduler = module("services.scheduler")
    responses = module("core.responses")

    def delete_schedule(name: str, query: dict[str, Any]) -> Any:
        """DeleteSchedule."""
        key = f"{query.get('groupName', 'default')}/{name}"
        scheduler._schedule_last_fired.pop((responses.get_account_id(), responses.get_region(), key), None)
        return original_delete(name, query)

    original_delete = replace(scheduler, "_delete_schedule", "name, query", delete_schedule)
    replace_constant(scheduler, "_SCHEDULE_TICK_INTERVAL", 10, _LOOK_EVERY_S)
