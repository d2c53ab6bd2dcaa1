"""What a change set says will change, where ministack looks past a resource's condition.

There a resource whose condition does not hold is announced as made, and one whose condition begins to hold as modified;
AWS knows neither of them before (CloudFormation User Guide, "Conditions": only resources whose condition is true are
created).
"""

from __future__ import annotations

from typing import Any

from runctl.local.emulator.seam import module, replace


def apply() -> None:
    """Compare only what each side of the change has."""
    changesets = module("services.cloudformation.changesets")

    def resolve(template: dict[str, Any], params: dict[str, Any], stack_name: str, stack_id: str) -> dict[str, Any]:
        """The resources of a template as they would be deployed, for the comparison."""
        resolved = original(template, params, stack_name, stack_id)
        if not resolved:
            return resolved
        conditions: dict[str, bool] = changesets._evaluate_conditions(template, params)
        held = {
            logical_id: resource
            for logical_id, resource in resolved["Resources"].items()
            if conditions.get(resource.get("Condition"), True)
        }
        return {**resolved, "Resources": held}

    original = replace(changesets, "_resolve_props_for_diff", "template, params, stack_name, stack_id", resolve)
