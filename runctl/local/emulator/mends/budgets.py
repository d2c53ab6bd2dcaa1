"""AWS Budgets by CloudFormation: ministack has the service, and no resource for it."""

from __future__ import annotations

from typing import Any, Final

from runctl.local.emulator.seam import module

_TYPE: Final = "AWS::Budgets::Budget"


def apply() -> None:
    """Let a stack have budgets."""
    handlers: dict[str, Any] = module("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    handlers[_TYPE] = {"create": _create, "update": _update, "delete": _delete}


def _create(_logical_id: str, props: dict[str, Any], _stack_name: str) -> tuple[str, dict[str, str]]:
    """Create a budget. `Ref` gives its name (CloudFormation Template Reference, "AWS::Budgets::Budget", return
    values)."""
    status, _, body = module("services.budgets")._create_budget(props)
    if status >= 300:
        raise ValueError(str(body))
    return str(props["Budget"]["BudgetName"]), {}


def _update(
    physical_id: str, _old: dict[str, Any], new: dict[str, Any], stack_name: str, *_: Any
) -> tuple[str, dict[str, str]]:
    """Change a budget."""
    _delete(physical_id, new)
    return _create("", new, stack_name)


def _delete(physical_id: str, _props: dict[str, Any], *_: Any) -> None:
    """Delete a budget; one that is not there is fine."""
    module("services.budgets")._delete_budget({"BudgetName": physical_id})
