"""Whether AWS's own services may do what a template has them do: by a role they take on, or by a resource's policy.
And whether a caller may hand them a role.

Sources: Step Functions Developer Guide, "Creating an IAM role for your state machine"; EventBridge User Guide, "Using
resource-based policies for Amazon EventBridge"; EventBridge Scheduler User Guide, "Setting up the execution role";
Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations".
"""

from __future__ import annotations

from typing import Any, Final

from runctl.local.emulator.seam import module

EVENTBRIDGE: Final = "events.amazonaws.com"


def role_allows(role_arn: str, action: str, resource_arn: str) -> bool:
    """Whether the role's policies allow the action on the resource. A role that does not exist allows nothing."""
    evaluator = module("core.iam_evaluator")
    account_id, role_name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    policies = evaluator._gather_role_policies(role_name, account_id)
    arn = f"arn:aws:sts::{account_id}:assumed-role/{role_name}/service"
    return evaluator.evaluate(_context(arn, action, resource_arn), policies).decision == "Allow"


def caller_may_pass(role_arn: str, service: str) -> bool:
    """Whether whoever makes the request at hand may pass a role to a service.

    IAM User Guide, "Grant a user permissions to pass a role to an AWS service".
    """
    evaluator, account_id = module("core.iam_evaluator"), module("core.responses").get_account_id()
    caller = evaluator.caller_arn()
    kind, _, name = caller.rsplit(":", 1)[-1].partition("/")
    if kind == "assumed-role":
        policies = evaluator._gather_role_policies(name.partition("/")[0], account_id)
    elif kind == "user":
        policies = evaluator._gather_user_policies(name, account_id)
    else:  # the account's root
        return True
    context = _context(caller, "iam:PassRole", role_arn)
    context.service_context["iam:passedtoservice"] = service
    return bool(evaluator.evaluate(context, policies).decision == "Allow")


def policy_allows(policy: Any, action: str, resource_arn: str, source_arn: str, *, service: str = EVENTBRIDGE) -> bool:
    """Whether a function's or queue's own policy lets a service act for `source_arn`, a rule or a topic."""
    context = _context(service, action, resource_arn, source_arn)
    decision = module("core.iam_evaluator").evaluate_resource_policy(policy, context, service=service).decision
    return decision == "Allow"


def _context(principal_arn: str, action: str, resource_arn: str, source_arn: str = "") -> Any:
    responses = module("core.responses")
    account_id = responses.get_account_id()
    return module("core.iam_evaluator").EvalContext(
        principal_arn=principal_arn,
        principal_type="AssumedRole",
        principal_account=account_id,
        action=action,
        resource_arn=resource_arn,
        region=responses.get_region(),
        source_ip="127.0.0.1",
        secure_transport=True,
        service_context={"aws:sourcearn": source_arn or None, "aws:sourceaccount": account_id},
    )
