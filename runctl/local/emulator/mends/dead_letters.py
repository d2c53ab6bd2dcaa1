"""The dead-letter queue of a rule's or a schedule's target: what cannot be delivered goes there.

Source: EventBridge User Guide, "Using dead-letter queues to process undelivered events": a target that does not exist,
or that EventBridge has no permission for, is not tried again. A function's own exceptions never come here, but go to
its on-failure destination. ministack logs and drops the first, and asks nobody for permission.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from runctl.local.emulator.seam import module, replace
from runctl.local.emulator.service_rights import policy_allows, role_allows

_NOTHING: Final[dict[str, Any]] = {}
_ACTIONS: Final = {
    "lambda": "lambda:InvokeFunction",
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
    "states": "states:StartExecution",
}
_log = logging.getLogger(__name__)


def apply() -> None:
    """Look before a delivery whether it can reach its target."""
    bridge = module("services.eventbridge")

    def invoke_target(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
        """Deliver an event to a target, or to the target's dead-letter queue."""
        code, why = _obstacle(target, rule)
        if not code:
            original(target, event, rule, view)
            return
        queue_arn: str | None = (target.get("DeadLetterConfig") or _NOTHING).get("Arn")
        _log.warning("%s cannot reach %s: %s Dead-letter queue: %s", rule.get("Arn"), target.get("Arn"), why, queue_arn)
        if queue_arn is None:
            return
        if not _may(queue_arn, target, rule):
            _log.error("%s may not send to its dead-letter queue %s.", rule.get("Arn"), queue_arn)
            return
        view = view or bridge._pattern_event_view(event)
        attributes = {
            _origin_of(rule): rule.get("Arn", ""),
            "TARGET_ARN": target.get("Arn", ""),
            "ERROR_CODE": code,
            "ERROR_MESSAGE": why,
            "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
            "RETRY_ATTEMPTS": "0",
        }
        deliver(queue_arn, target.get("Input") or json.dumps(view.event_with_detail()), attributes)

    original = replace(bridge, "_invoke_target", "target, event, rule, view", invoke_target)


def _origin_of(rule: dict[str, Any]) -> str:
    """Name the attribute that says where a message comes from: ministack delivers a schedule's as a rule's."""
    return "SCHEDULE_ARN" if rule.get("Arn", "").split(":")[2:3] == ["scheduler"] else "RULE_ARN"


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


def action_on(arn: str) -> str:
    """The action by which a service hands something to the resource; empty for kinds that runctl does not use."""
    return _ACTIONS.get(arn.split(":")[2], "") if arn.count(":") >= 5 else ""


def _obstacle(target: dict[str, Any], rule: dict[str, Any]) -> tuple[str, str]:
    """Why a delivery cannot be: code and sentence; both empty where it can. Other kinds are ministack's to judge."""
    arn = target.get("Arn", "")
    if not action_on(arn):
        return "", ""
    if not _exists(arn):
        return "NO_RESOURCE", "The target does not exist."
    if not _may(arn, target, rule):
        return "NO_PERMISSIONS", f"{action_on(arn)} is not allowed to {rule.get('Arn')}."
    return "", ""


def _exists(arn: str) -> bool:
    service = arn.split(":")[2]
    if service == "lambda":
        return module("services.lambda_svc")._get_func_record_for_ref(arn)[0] is not None
    if service == "sqs":
        return module("services.sqs")._queue_by_arn(arn) is not None
    if service == "sns":
        return arn in module("services.sns")._topics
    return module("services.stepfunctions")._resolve_state_machine_arn(arn) is not None


def _may(arn: str, target: dict[str, Any], rule: dict[str, Any]) -> bool:
    """Whether a schedule's role, or for a rule the policy of the function or queue, allows the delivery."""
    if target.get("RoleArn"):
        return role_allows(target["RoleArn"], action_on(arn), arn)
    service = arn.split(":")[2]
    if service == "lambda":
        policy = module("services.lambda_svc")._get_func_record_for_ref(arn)[0].get("policy")
    elif service == "sqs":
        policy = module("services.sqs").queue_policy_for_arn(arn)
        policy = policy[0] if policy else None
    else:
        return True
    return policy_allows(policy, action_on(arn), arn, rule.get("Arn", ""))
