"""Schedules fire within a second, a schedule of a name that was used before fires as well, and a role has to be passed.

AWS fires within the minute (EventBridge Scheduler User Guide, "Schedule types in EventBridge Scheduler"); ministack
looks every ten seconds, and takes a new one-time schedule for fired when an earlier one of its name was. Whoever makes
a schedule passes its role (same guide, "Identity-based policies for EventBridge Scheduler"); ministack asks nobody.
"""

from __future__ import annotations

from typing import Any, Final

from runctl.local.emulator.seam import module, replace, replace_constant
from runctl.local.emulator.service_rights import caller_may_pass

_LOOK_EVERY_S: Final = 1
_SCHEDULER: Final = "scheduler.amazonaws.com"


def apply() -> None:
    """Look more often, and forget a schedule's firing with the schedule."""
    scheduler = module("services.scheduler")
    responses = module("core.responses")

    def delete_schedule(name: str, query: dict[str, Any]) -> Any:
        """DeleteSchedule."""
        key = f"{query.get('groupName', 'default')}/{name}"
        scheduler._schedule_last_fired.pop((responses.get_account_id(), responses.get_region(), key), None)
        return original_delete(name, query)

    def create_schedule(name: str, body: dict[str, Any]) -> Any:
        """CreateSchedule."""
        return _refusal_to_pass(body) or original_create(name, body)

    def update_schedule(name: str, body: dict[str, Any]) -> Any:
        """UpdateSchedule."""
        return _refusal_to_pass(body) or original_update(name, body)

    def _refusal_to_pass(body: dict[str, Any]) -> Any | None:
        role_arn = body.get("Target", {}).get("RoleArn")
        if not role_arn or caller_may_pass(role_arn, _SCHEDULER):
            return None
        who = module("core.iam_evaluator").caller_arn()
        sentence = f"User: {who} is not authorized to perform: iam:PassRole on resource: {role_arn}"
        return scheduler._error(403, "AccessDeniedException", sentence)

    original_create = replace(scheduler, "_create_schedule", "name, body", create_schedule)
    original_update = replace(scheduler, "_update_schedule", "name, body", update_schedule)
    original_delete = replace(scheduler, "_delete_schedule", "name, query", delete_schedule)
    replace_constant(scheduler, "_SCHEDULE_TICK_INTERVAL", 10, _LOOK_EVERY_S)
