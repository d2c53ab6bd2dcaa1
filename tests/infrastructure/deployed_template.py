"""The synthesized template as it looks once CloudFormation has filled it in, for one imagined deployment."""

import json
from dataclasses import dataclass, field
from typing import Any

REGION = "us-east-1"
ACCOUNT = "123456789012"
STACK = "runctl"

_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}

Resource = dict[str, Any]


@dataclass(frozen=True)
class DeployedTemplate:
    """A template with parameters. References become `<LogicalId>`, attributes `<LogicalId.Attribute>`."""

    body: dict[str, Any]
    parameters: dict[str, str] = field(default_factory=dict[str, str])

    def of_type(self, resource_type: str) -> dict[str, Resource]:
        """Properties of all resources of a type that this deployment has, resolved, by logical id."""
        return {
            logical_id: self.resolve(resource.get("Properties", {}))
            for logical_id, resource in self.body["Resources"].items()
            if resource["Type"] == resource_type and self.has(resource)
        }

    def has(self, resource: Resource) -> bool:
        """Whether the resource's condition holds."""
        return "Condition" not in resource or self.holds(resource["Condition"])

    def holds(self, condition: str) -> bool:
        """Whether a named condition holds."""
        return self._truth(self.body["Conditions"][condition])

    def resolve(self, value: Any) -> Any:
        """Do what CloudFormation's intrinsic functions do, as far as the template uses them."""
        if isinstance(value, list):
            resolved = [self.resolve(item) for item in value]
            return [item for item in resolved if item is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref":
                return self._reference(argument)
            if name.startswith("Fn::"):
                return self._function(name, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not None}

    def _reference(self, name: str) -> str | None:
        if name == "AWS::NoValue":
            return None
        if name in self.body["Parameters"]:
            return self.parameters.get(name, self.body["Parameters"][name]["Default"])
        return _PSEUDO.get(name, f"<{name}>")

    def _function(self, name: str, argument: Any) -> Any:
        match name:
            case "Fn::GetAtt":
                return f"<{'.'.join(argument)}>"
            case "Fn::Join":
                separator, parts = argument
                return separator.join(str(part) for part in self.resolve(parts))
            case "Fn::Split":
                separator, text = argument
                return str(self.resolve(text)).split(separator)
            case "Fn::If":
                condition, yes, no = argument
                return self.resolve(yes if self.holds(condition) else no)
            case "Fn::Sub":
                text = str(argument)
                for pseudo, value in _PSEUDO.items():
                    text = text.replace("${" + pseudo + "}", value)
                return text
            case "Fn::Base64":
                return self.resolve(argument)
            case "Fn::GetAZs":
                return [f"{REGION}{letter}" for letter in "abcdef"]
            case "Fn::Select":
                index, items = argument
                return self.resolve(items)[int(index)]
            case _:
                raise NotImplementedError(name)

    def _truth(self, expression: Any) -> bool:
        ((name, argument),) = expression.items()
        match name:
            case "Condition":
                return self.holds(argument)
            case "Fn::Equals":
                left, right = self.resolve(argument)
                return left == right
            case "Fn::Not":
                return not self._truth(argument[0])
            case "Fn::And":
                return all(self._truth(part) for part in argument)
            case "Fn::Or":
                return any(self._truth(part) for part in argument)
            case _:
                raise NotImplementedError(name)

    @property
    def state_machine(self) -> dict[str, Any]:
        """The state machine's definition."""
        (resource,) = self.of_type("AWS::StepFunctions::StateMachine").values()
        definition: dict[str, Any] = json.loads(resource["DefinitionString"])
        return definition
