"""CloudFormation: what its answers mean, where neither moto nor an emulator gives them."""

from typing import Any

import pytest

from runctl.aws.change_sets import PATIENCE, ChangeSet, ChangeSets, StackEvent
from runctl.errors import DeploymentFailed, Throttled
from tests.contract.stubs import stubbed

ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/runctl/1"
ARN = "arn:aws:cloudformation:us-east-1:123456789012:changeSet/c/1"
WHEN = "2026-11-24T09:30:00Z"
URL = "https://s3.us-east-1.amazonaws.com/b/t.json"


def of_the_stack(client: Any) -> ChangeSets:
    """Make the gateway; it does not wait."""
    return ChangeSets(client, sleep=lambda _: None)


def _stack(status: str, **more: Any) -> dict[str, Any]:
    return {"Stacks": [{"StackName": "runctl", "StackId": ID, "CreationTime": WHEN, "StackStatus": status, **more}]}


def _event(number: int, status: str, logical_id: str = "Role", reason: str = "") -> dict[str, Any]:
    kind = "AWS::CloudFormation::Stack" if logical_id == "runctl" else "AWS::IAM::Role"
    return {
        "StackId": ID,
        "EventId": str(number),
        "StackName": "runctl",
        "Timestamp": WHEN,
        "LogicalResourceId": logical_id,
        "ResourceType": kind,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


def test_no_stack_is_none_and_no_error() -> None:
    with stubbed("cloudformation", of_the_stack) as (gateway, stubber):
        stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id runctl does not exist")

        assert gateway.stack() is None


def test_outage_is_an_error_and_not_a_missing_stack() -> None:
    with stubbed("cloudformation", of_the_stack) as (gateway, stubber):
        stubber.add_client_error("describe_stacks", "ServiceUnavailable", "later", 503)

        with pytest.raises(Throttled):
            gateway.stack()


@pytest.mark.parametrize(
    ("status", "is_changing", "is_half_made"),
    [
        ("CREATE_COMPLETE", False, False),
        ("UPDATE_IN_PROGRESS", True, False),
        ("REVIEW_IN_PROGRESS", False, False),
        ("ROLLBACK_COMPLETE", False, True),
        ("UPDATE_ROLLBACK_COMPLETE", False, False),
    ],
)
def test_status_says_what_can_be_done(status: str, is_changing: bool, is_half_made: bool) -> None:
    with stubbed("cloudformation", of_the_stack) as (gateway, stubber):
        stubber.add_response("describe_stacks", _stack(status))

        stack = gateway.stack()

    assert stack is not None
    assert (stack.is_changing, stack.is_half_made) == (is_changing, is_half_made)


def _prepared(gateway: ChangeSets, *, creates: bool = False) -> ChangeSet | None:
    return gateway.prepare("c", URL, {"Given": "1"}, ["Kept"], creates=creates)


def _expect_creation(stubber: Any, kind: str) -> None:
    stubber.add_response(
        "create_change_set",
        {"Id": ARN, "StackId": ID},
        {
            "StackName": "runctl",
            "ChangeSetName": "c",
            "ChangeSetType": kind,
            "TemplateURL": URL,
            "Parameters": [
                {"ParameterKey": "Given", "ParameterValue": "1"},
                {"ParameterKey": "Kept", "UsePreviousValue": True},
            ],
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
        },
    )


def test_change_set_is_waited_for_and_read_page_by_page() -> None:
    def change(name: str) -> dict[str, Any]:
        return {
            "Type": "Resource",
            "ResourceChange": {
                "Action": "Modify",
                "LogicalResourceId": name,
                "ResourceType": "AWS::IAM::Role",
                "Replacement": "False",
            },
        }

    with stubbed("cloudformation", of_the_stack) as (gateway, stubber):
        _expect_creation(stubber, "UPDATE")
        stubber.add_response("describe_change_set", {"Status": "CREATE_IN_PROGRESS"})
        stubber.add_response("describe_change_set", {"Status": "CREATE_COMPLETE"})
        first = {"Status": "CREATE_COMPLETE", "Changes": [change("One")], "NextToken": "more"}
        stubber.add_response("describe_change_set", first, {"ChangeSetName": ARN})
        second = {"Status": "CREATE_COMPLETE", "Changes": [change("Two")]}
        stubber.add_response("describe_change_set", second, {"ChangeSetName": ARN, "NextToken": "more"})

        made = _prepared(gateway)

    assert made is not None
    assert [each.logical_id for each in made.changes] == ["One", "Two"]


@pytest.mark.parametrize(
    "reason",
    [
        "The submitted information didn't contain changes. Submit different information to create a change set.",
        "No updates are to be performed.",
    ],
    ids=["change set", "stack"],
)
def test_empty_change_set_is_none_and_deleted(reason: str) -> None:
    with stubbed("cloudformation", of_the_stack) as (gateway, stubber):
        _expect_creation(stubber, "UPDATE")
        stubber.add_response("describe_change_set", {"Status": "FAILED", "StatusReason": reason})
        stubber.add_response("delete_change_set", {}, {"ChangeSetName": ARN})

        assert _prepared(gateway) is None


def test_failed_change_set_of_a_new_stack_leaves_no_stack() -> None:
    with stubbed("cloudformation", of_the_stack) as (gateway, stubber):
        _expect_creation(stubber, "CREATE")
        stubber.add_response("describe_change_set", {"Status": "FAILED", "StatusReason": "Rule NetworkIsWholeOrNone"})
        stubber.add_response("delete_change_set", {}, {"ChangeSetName": ARN})
        stubber.add_response("describe_stacks", _stack("REVIEW_IN_PROGRESS"))
        stubber.add_response("delete_stack", {}, {"StackName": ID})

        with pytest.raises(DeploymentFailed, match="NetworkIsWholeOrNone"):
            _prepared(gateway, creates=True)


def test_refusal_is_told_in_cloudformations_words() -> None:
    with stubbed("cloudformation", of_the_stack) as (gateway, stubber):
        stubber.add_client_error("create_change_set", "ValidationError", "Parameters: [X] must have values")

        with pytest.raises(DeploymentFailed, match=r"Parameters: \[X\] must have values"):
            _prepared(gateway)


def test_each_event_is_told_once_and_only_those_of_this_operation() -> None:
    told: list[str] = []
    with stubbed("cloudformation", of_the_stack) as (gateway, stubber):
        stubber.add_response("describe_stack_events", {"StackEvents": [_event(1, "UPDATE_COMPLETE", "Old")]})
        stubber.add_response(
            "execute_change_set", {}, {"ChangeSetName": ARN, "DisableRollback": False, "RetainExceptOnCreate": True}
        )
        stubber.add_response("describe_stacks", _stack("UPDATE_IN_PROGRESS"))
        events = [_event(2, "UPDATE_IN_PROGRESS"), _event(1, "UPDATE_COMPLETE", "Old")]
        stubber.add_response("describe_stack_events", {"StackEvents": events})
        stubber.add_response("describe_stacks", _stack("UPDATE_COMPLETE"))
        stubber.add_response("describe_stack_events", {"StackEvents": [_event(3, "UPDATE_COMPLETE"), *events]})

        stack = gateway.execute(ChangeSet(arn=ARN, stack_id=ID, creates=False), lambda e: told.append(e.event_id))

    assert stack.status == "UPDATE_COMPLETE"
    assert told == ["2", "3"]


def test_disturbance_of_aws_does_not_end_the_waiting() -> None:
    with stubbed("cloudformation", of_the_stack) as (gateway, stubber):
        stubber.add_response("describe_stack_events", {"StackEvents": []})
        stubber.add_response("delete_stack", {}, {"StackName": ID})
        stubber.add_client_error("describe_stacks", "Throttling", "Rate exceeded")
        stubber.add_response("describe_stacks", _stack("DELETE_COMPLETE"))
        stubber.add_response("describe_stack_events", {"StackEvents": []})

        assert gateway.delete(ID).status == "DELETE_COMPLETE"


def test_lasting_disturbance_is_told_in_the_end() -> None:
    with stubbed("cloudformation", of_the_stack) as (gateway, stubber):
        stubber.add_response("describe_stack_events", {"StackEvents": []})
        stubber.add_response("delete_stack", {}, {"StackName": ID})
        for _ in range(PATIENCE + 1):
            stubber.add_client_error("describe_stacks", "Throttling", "Rate exceeded")

        with pytest.raises(Throttled):
            gateway.delete(ID)


def test_first_failure_of_the_last_operation_comes_first_and_cancelled_ones_are_none() -> None:
    events = [
        _event(6, "UPDATE_ROLLBACK_IN_PROGRESS", "runctl", "The following resource(s) failed to update"),
        _event(5, "UPDATE_FAILED", "Other", "Resource update cancelled"),
        _event(4, "UPDATE_FAILED", "Role", "Not authorized"),
        _event(3, "UPDATE_IN_PROGRESS", "runctl", "User Initiated"),
        _event(2, "CREATE_FAILED", "Earlier", "of another time"),
    ]
    with stubbed("cloudformation", of_the_stack) as (gateway, stubber):
        stubber.add_response("describe_stack_events", {"StackEvents": events})

        failures: tuple[StackEvent, ...] = gateway.failures(ID)

    assert [(each.logical_id, each.reason) for each in failures] == [("Role", "Not authorized")]
