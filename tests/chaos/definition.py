"""The synthesized state machine of runctl/_assembly, with the functions' folders in place of their ARNs."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import runctl
from runctl.model.names import Function
from tests.chaos.interpreter import Definition

TEMPLATE = Path(runctl.__file__).parent / "_assembly" / "template.json"


@cache
def synthesized() -> Definition:
    """Read the definition from the template that is deployed."""
    resources = json.loads(TEMPLATE.read_bytes())["Resources"]
    (machine,) = (each for each in resources.values() if each["Type"] == "AWS::StepFunctions::StateMachine")
    parts = machine["Properties"]["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else _named(part) for part in parts)
    found: Definition = json.loads(text)
    return found


def _named(reference: dict[str, Any]) -> str:
    """Fill in what CloudFormation would."""
    if reference == {"Ref": "AWS::Partition"}:
        return "aws"
    logical_id, attribute = reference["Fn::GetAtt"]
    by_id = {"Functions" + "".join(word.title() for word in each.value.split("_")): each for each in Function}
    if attribute != "Arn":
        raise ValueError(f"an attribute that the simulation does not know: {reference}")
    return by_id[logical_id].value
