"""The IAM statements of a template, by role."""

from typing import Any

from tests.infrastructure.deployed_template import DeployedTemplate

Statement = dict[str, Any]


def as_list(value: str | list[str]) -> list[str]:
    """IAM writes one thing or a list of things."""
    return [value] if isinstance(value, str) else value


def statements_of(template: DeployedTemplate, role: str) -> list[Statement]:
    """All statements of a role's policies."""
    return [
        statement
        for policy in template.of_type("AWS::IAM::Policy").values()
        if f"<{role}>" in policy["Roles"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def actions_of(template: DeployedTemplate, role: str) -> set[str]:
    """All actions that a role may call on something."""
    return {action for statement in statements_of(template, role) for action in as_list(statement["Action"])}


def resources_of(template: DeployedTemplate, role: str, action: str) -> set[str]:
    """What a role may call an action on."""
    return {
        resource
        for statement in statements_of(template, role)
        if action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }


def conditions_of(template: DeployedTemplate, role: str, action: str) -> list[dict[str, Any]]:
    """Conditions of the statements that allow an action; an empty one is none."""
    return [
        statement.get("Condition", {})
        for statement in statements_of(template, role)
        if action in as_list(statement["Action"])
    ]
