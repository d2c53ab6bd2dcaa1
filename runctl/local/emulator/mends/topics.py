"""Subscriptions of topics: functions by Lambda's asynchronous queue, endpoints that have not confirmed yet.

ministack invokes a subscribed function once, waits for it and loses what it raises. On AWS, SNS invokes asynchronously,
so that Lambda's retries and on-failure destination see to it, and needs a permission in the function's policy (Lambda
Developer Guide, "Using AWS Lambda with Amazon SNS"). ministack lists the ARN of a subscription that waits for its
confirmation, where AWS says `PendingConfirmation`, and asks for a confirmation once only.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from runctl.local.emulator.seam import module, replace
from runctl.local.emulator.service_rights import policy_allows

SNS: Final = "sns.amazonaws.com"
_PENDING: Final = "PendingConfirmation"
"""In the place of an ARN (SNS API Reference, ListSubscriptionsByTopic)."""

_log = logging.getLogger(__name__)


def apply() -> None:
    """Replace how a function is invoked, and how subscriptions are made and listed."""
    sns, lambdas = module("services.sns"), module("services.lambda_svc")

    def deliver_to_lambda(
        endpoint: str,
        envelope: str,
        topic_arn: str,
        sub_arn: str,
        _msg_id: str,
        _raw_message: str,
        _message_attributes: dict[str, Any],
    ) -> None:
        """Hand a message to a function's asynchronous queue."""
        func, config, name = lambdas._get_func_record_for_ref(endpoint)
        if not func or not config:
            _log.warning("The topic %s has no function %s to invoke.", topic_arn, name)
            return
        if not policy_allows(func.get("policy"), "lambda:InvokeFunction", endpoint, topic_arn, service=SNS):
            _log.warning("The function %s does not allow the topic %s to invoke it.", name, topic_arn)
            return
        record = {
            "EventVersion": "1.0",
            "EventSubscriptionArn": sub_arn,
            "EventSource": "aws:sns",
            "Sns": json.loads(envelope),
        }
        lambdas.invoke_async_with_retry(lambdas._execution_record_for_config(func, config), {"Records": [record]})

    def subscribe(params: dict[str, Any]) -> Any:
        """Subscribe; an endpoint that has not confirmed is asked again."""
        topic = sns._topic_by_arn_any_scope(sns._normalize_arn(sns._p(params, "TopicArn")))
        if topic is not None:
            wanted = (sns._p(params, "Protocol"), sns._p(params, "Endpoint"))
            topic["subscriptions"] = [
                each
                for each in topic["subscriptions"]
                if each["confirmed"] or (each["protocol"], each["endpoint"]) != wanted
            ]
        return subscribe_once(params)

    def list_by_topic(params: dict[str, Any]) -> Any:
        """List a topic's subscriptions."""
        status, headers, body = list_with_arns(params)
        topic: dict[str, Any] | None = sns._topic_by_arn_any_scope(sns._normalize_arn(sns._p(params, "TopicArn")))
        subscriptions: list[dict[str, Any]] = [] if topic is None else topic["subscriptions"]
        for each in subscriptions:
            if not each["confirmed"]:
                body = body.replace(each["arn"].encode(), _PENDING.encode())
        return status, headers, body

    replace(
        sns,
        "_deliver_to_lambda",
        "endpoint, envelope, topic_arn, sub_arn, msg_id, raw_message, message_attributes",
        deliver_to_lambda,
    )
    subscribe_once = replace(sns, "_subscribe", "params", subscribe)
    list_with_arns = replace(sns, "_list_subscriptions_by_topic", "params", list_by_topic)
