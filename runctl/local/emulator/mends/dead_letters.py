"""The dead-letter queue of a rule's or a schedule's target: what cannot be delivered goes there.

Source: EventBridge User Guide, "Using dead-letter queues to process undelivered events". What ministack would log and
drop is a target that does not exist; a function's own exceptions never come here, but to its on-failure destination.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from runctl.local.emulator.seam import module, replace

_NOTHING: Final[dict[str, Any]] = {}
_log = logging.getLogger(__name__)


def apply() -> None:
    """Look before a delivery whether its target exists."""
    bridge = module("services.eventbridge")

    def invoke_target(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
        """Deliver an event to a target, or to the target's dead-letter queue."""
        if _exists(target.get("Arn", "")):
            original(target, event, rule, view)
            return
        queue: str | None = (target.get("DeadLetterConfig") or _NOTHING).get("Arn")
        _log.warning("%s has no target %s; dead-letter queue: %s", rule.get("Arn"), target.get("Arn"), queue)
        if queue:
            view = view or bridge._pattern_event_view(event)
            attributes = {
                "RULE_ARN": rule.get("Arn", ""),
                "TARGET_ARN": target.get("Arn", ""),
                "ERROR_CODE": "NO_RESOURCE",
                "ERROR_MESSAGE": "The target does not exist.",
                "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
                "RETRY_ATTEMPTS": "0",
            }
            deliver(queue, target.get("Input") or json.dumps(view.event_with_detail()), attributes)

    original = replace(bridge, "_invoke_target", "target, event, rule, view", invoke_target)


def deliver(arn: str, body: str, attributes: dict[str, str] | None = None) -> None:
    """Send a message to a queue, a topic or a function of the present account and region."""
    arns = module("core.arn")
    bridge = module("services.eventbridge")
    spec = arns.parse_arn(arn)
    if spec.service == "sqs":
        queue = module("services.sqs")._queue_by_arn(arn)
        if queue is None:
            _log.error("There is no queue %s for what could not be delivered.", arn)
            return
        bridge._dispatch_to_sqs(spec, body)
        queue["messages"][-1]["message_attributes"] = {
            name: {"DataType": "String", "StringValue": value} for name, value in (attributes or {}).items()
        }
    elif spec.service == "sns":
        bridge._dispatch_to_sns(arn, body)
    elif spec.service == "lambda":
        bridge._dispatch_to_lambda(arn, body)
    else:
        _log.error("%s cannot take what could not be delivered.", arn)


def _exists(arn: str) -> bool:
    """Whether a target of one of the four kinds that runctl uses exists; other kinds are ministack's to judge."""
    service = arn.split(":")[2] if arn.count(":") >= 5 else ""
    if service == "lambda":
        return module("services.lambda_svc")._get_func_record_for_ref(arn)[0] is not None
    if service == "sqs":
        return module("services.sqs")._queue_by_arn(arn) is not None
    if service == "sns":
        return arn in module("services.sns")._topics
    if service == "states":
        return module("services.stepfunctions")._resolve_state_machine_arn(arn) is not None
    return True
