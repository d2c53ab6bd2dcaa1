"""Asynchronous invocations: one queue for all sources, retries, and a destination for what failed for good.

Sources: Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous invocation" (two retries, one
and two minutes later; throttles and system errors are tried again for as long as the event may be old) and "Capturing
records of Lambda asynchronous invocations". The waits between tries are shorter here; FIDELITY.md lists them.
"""

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from runctl.local.emulator.mends.dead_letters import action_on, deliver
from runctl.local.emulator.seam import module, replace
from runctl.local.emulator.service_rights import role_allows

RETRY_DELAYS_S: Final = (1.0, 2.0)
"""Before the first and the second retry after an error; AWS waits 60 and 120 s."""

THROTTLED_DELAY_S: Final = 0.1
"""Between tries of a throttled event; AWS starts at 1 s and goes up to 5 min."""

_log = logging.getLogger(__name__)

_MAX_AGE_S: Final = 21_600
"""How long an event is kept when the function says nothing (MaximumEventAgeInSeconds)."""


def apply() -> None:
    """Replace the asynchronous invocation, and let EventBridge and Scheduler use it."""
    service = module("services.lambda_svc")
    bridge = module("services.eventbridge")

    def invoke_async(func: dict[str, Any], event: Any) -> None:
        """Accept an event for a function and see to it, from a thread of its own."""
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(_see_to, service, func, event), name="async-invocation", daemon=True
        ).start()

    def dispatch_to_lambda(arn: str, payload: str) -> None:
        """Hand a rule's or schedule's payload to its function."""
        func, config, name = service._get_func_record_for_ref(arn)
        if not func or not config:
            raise LookupError(f"Function not found: {name}")
        invoke_async(service._execution_record_for_config(func, config), json.loads(payload))

    replace(service, "invoke_async_with_retry", "func, event", invoke_async)
    replace(bridge, "_dispatch_to_lambda", "arn, payload", dispatch_to_lambda)


def _see_to(service: Any, func: dict[str, Any], event: Any) -> None:
    """Try until the function succeeds or the event is given up, then tell the destination."""
    wanted = _wanted(func)
    retries = int(wanted.get("MaximumRetryAttempts", len(RETRY_DELAYS_S)))
    give_up_at = time.monotonic() + int(wanted.get("MaximumEventAgeInSeconds", _MAX_AGE_S))
    tries = 0
    while True:
        func = _as_it_is_now(service, func)
        result = service._execute_function_with_config_scope(func, event)
        if not result.get("error"):
            return
        if result.get("throttle"):
            delay_s = THROTTLED_DELAY_S
        else:
            tries += 1
            if tries > retries:
                condition = "RetriesExhausted"
                break
            delay_s = RETRY_DELAYS_S[min(tries, len(RETRY_DELAYS_S)) - 1]
        if time.monotonic() + delay_s > give_up_at:
            condition = "EventAgeExceeded"
            break
        time.sleep(delay_s)
    _tell(service, func, event, result, condition, tries)


def _as_it_is_now(service: Any, func: dict[str, Any]) -> dict[str, Any]:
    """The function's record when an event is tried: it may have been changed, or allowed to run, while that waited."""
    config = func.get("config") or func
    version = config.get("Version", "$LATEST")
    ref = config["FunctionArn"] if version == "$LATEST" else f"{config['FunctionArn']}:{version}"
    found, found_config, _ = service._get_func_record_for_ref(ref)
    return service._execution_record_for_config(found, found_config) if found and found_config else func


def _tell(service: Any, func: dict[str, Any], event: Any, result: dict[str, Any], condition: str, tries: int) -> None:
    """Send the failed event to the function's on-failure destination and to its own dead-letter queue."""
    config = func.get("config") or func
    wanted = _wanted(func)
    version = config.get("Version", "$LATEST")
    record = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "requestContext": {
            "requestId": result["body"].get("requestId", str(uuid.uuid4())),
            "functionArn": f"{config['FunctionArn']}:{version}",
            "condition": condition,
            "approximateInvokeCount": tries,
        },
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "executedVersion": version, "functionError": "Unhandled"},
        "responsePayload": result["body"],
    }
    destination = wanted.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    dead_letters = config.get("DeadLetterConfig", {}).get("TargetArn")
    for arn, body in ((destination, record), (dead_letters, event)):
        if not arn:
            continue
        if role_allows(config["Role"], action_on(arn), arn):
            service._run_with_function_config_scope(config, deliver, arn, json.dumps(body))
        else:
            _log.error("%s may not send its failed events to %s.", config["FunctionName"], arn)


def _wanted(func: dict[str, Any]) -> dict[str, Any]:
    """The function's EventInvokeConfig, or an empty one."""
    by_qualifier: dict[str, Any] = func.get("event_invoke_configs") or {}
    return func.get("event_invoke_config") or by_qualifier.get("$LATEST") or {}
