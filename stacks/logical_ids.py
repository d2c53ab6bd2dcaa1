"""Logical ids that a person can read in the CloudFormation console."""

from typing import Final

from aws_cdk import CfnElement

_SILENT: Final = frozenset({"Resource", "Default"})
"""Construct ids that the CDK gives to the one resource inside a construct; they say nothing."""


def logical_id_of(element: CfnElement) -> str:
    """Join the ids on the construct's path below the stack, without the hash that the CDK appends.

    Two elements of the same name are refused by the CDK at synthesis, so that nothing can be overwritten silently.
    """
    parts: list[str] = []
    for scope in element.node.scopes[len(element.stack.node.scopes) :]:
        construct_id = scope.node.id
        if construct_id in _SILENT:
            continue
        parts.append("".join(character for character in construct_id if character.isalnum()))
    return "".join(parts)
