"""Events of AWS services, delivered through ministack's own rules and targets.

`PutEvents` refuses a source that begins with `aws.`, here as on AWS; services deliver theirs by this door.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from runctl.local.emulator.seam import module


def publish(event: dict[str, Any]) -> None:
    """Deliver an event to the targets of all matching rules of the default bus, from a thread of its own.

    `event` is the envelope as a target receives it. What is missing of `id`, `time` (ISO 8601, UTC), `account`,
    `region` and `resources` is filled in; the account and region are otherwise those of the calling request. May be
    called from any thread, the event loop's too. Errors of delivery are logged, never raised: AWS's events are best
    effort as well.
    """
    concurrency = module("core.concurrency")
    concurrency.spawn_background(_deliver, dict(event), thread_name="service-event")


def publisher(account_id: str, region: str) -> Any:
    """`publish` for callers that stand outside any request, with the account and region of their events."""

    def publish_service_event(event: dict[str, object]) -> None:
        publish({"account": account_id, "region": region, **event})

    return publish_service_event


def _deliver(event: dict[str, Any]) -> None:
    bridge = module("services.eventbridge")
    responses = module("core.responses")
    if "account" in event:
        responses.set_request_account_id(event["account"])
    if "region" in event:
        responses.set_request_region(event["region"])
    record = {
        "EventId": event.get("id") or str(uuid.uuid4()),
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"]),
        "EventBusName": "default",
        "Time": event.get("time") or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Resources": list(event.get("resources", ())),
        "Account": responses.get_account_id(),
        "Region": responses.get_region(),
    }
    view = bridge._pattern_event_view(record)
    bridge._dispatch_event(record, view)
    bridge._archive_event(record, view)
