"""A change set announces what will be made, and no resource whose condition does not hold."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.emulator.services import Services

pytestmark = pytest.mark.local_cloud

STACK = "conditional"
TEMPLATE: dict[str, Any] = {
    "Parameters": {"Wanted": {"Type": "String", "Default": "false"}},
    "Conditions": {"IsWanted": {"Fn::Equals": [{"Ref": "Wanted"}, "true"]}},
    "Resources": {
        "Always": {"Type": "AWS::SQS::Queue"},
        "Sometimes": {"Type": "AWS::SQS::Queue", "Condition": "IsWanted"},
    },
}


@pytest.fixture
def cloudformation(services: Services) -> Iterator[Any]:
    """CloudFormation, without the stack before and after."""
    client = services.client("cloudformation")
    yield client
    client.delete_stack(StackName=STACK)
    client.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 0.05, "MaxAttempts": 100})


def _announced(client: Any, name: str, kind: str, wanted: str) -> dict[str, str]:
    client.create_change_set(
        StackName=STACK,
        ChangeSetName=name,
        ChangeSetType=kind,
        TemplateBody=json.dumps(TEMPLATE),
        Parameters=[{"ParameterKey": "Wanted", "ParameterValue": wanted}],
    )
    found = client.describe_change_set(StackName=STACK, ChangeSetName=name)
    changes = [change["ResourceChange"] for change in found["Changes"]]
    return {change["LogicalResourceId"]: change["Action"] for change in changes}


def _execute(client: Any, name: str, waiter: str) -> None:
    client.execute_change_set(StackName=STACK, ChangeSetName=name)
    client.get_waiter(waiter).wait(StackName=STACK, WaiterConfig={"Delay": 0.05, "MaxAttempts": 100})


def test_resource_is_announced_when_its_condition_begins_and_ceases_to_hold(cloudformation: Any) -> None:
    first = _announced(cloudformation, "first", "CREATE", "false")
    _execute(cloudformation, "first", "stack_create_complete")
    on = _announced(cloudformation, "on", "UPDATE", "true")
    _execute(cloudformation, "on", "stack_update_complete")
    off = _announced(cloudformation, "off", "UPDATE", "false")

    assert (first, on, off) == ({"Always": "Add"}, {"Sometimes": "Add"}, {"Sometimes": "Remove"})
