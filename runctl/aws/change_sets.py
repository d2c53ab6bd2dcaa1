"""CloudFormation: the stack as it stands, change sets of it, and what happens while one is carried out."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of
from runctl.errors import DeploymentFailed, RunctlError
from runctl.model.base import Model
from runctl.model.names import STACK_NAME

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudformation.type_defs import ChangeTypeDef, ParameterTypeDef

CAPABILITIES: Final = ("CAPABILITY_NAMED_IAM",)
"""The template names a role's profile (CloudFormation API Reference, CreateChangeSet)."""

LOOK_EVERY_S: Final = 2.0
"""Between two looks at a stack that changes: CloudFormation throttles who asks much more often."""

FIRST_LOOKS_S: Final = 0.1
"""What the pauses begin with, before they grow to `LOOK_EVERY_S`."""

PATIENCE: Final = 60
"""Looks in a row that may fail for a disturbance of AWS, which CloudFormation's own work does not notice."""

_NO_CHANGES: Final = ("didn't contain changes", "No updates are to be performed")
"""How CloudFormation says that a change set is empty: it has no code for it (CloudFormation API Reference,
DescribeChangeSet, StatusReason)."""

_HALF_MADE: Final = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"})
"""Of a stack whose creation failed: it can only be deleted (CloudFormation User Guide, "Stack status codes")."""


class Stack(Model):
    """The stack as CloudFormation describes it."""

    stack_id: str
    status: str
    reason: str = ""
    parameters: dict[str, str] = {}
    outputs: dict[str, str] = {}

    @property
    def is_changing(self) -> bool:
        """Whether CloudFormation is at work on it. One that waits for its first change set is not."""
        return self.status.endswith("_IN_PROGRESS") and not self.was_never_made

    @property
    def was_never_made(self) -> bool:
        """Whether there is only a change set that was never carried out."""
        return self.status == "REVIEW_IN_PROGRESS"

    @property
    def is_half_made(self) -> bool:
        """Whether its creation failed and all that can be done is to delete it."""
        return self.status in _HALF_MADE


class ResourceChange(Model):
    """One resource of a change set."""

    action: str
    """`Add`, `Modify`, `Remove`, …"""
    logical_id: str
    resource_type: str
    replacement: str = ""
    """`True`, `False`, `Conditional`, or empty when it is not a modification."""


class ChangeSet(Model):
    """What would become of the stack."""

    arn: str
    stack_id: str
    creates: bool
    changes: tuple[ResourceChange, ...] = ()


class StackEvent(Model):
    """One step of CloudFormation on one resource."""

    event_id: str
    logical_id: str
    resource_type: str
    status: str
    reason: str = ""

    @property
    def is_failure(self) -> bool:
        """Whether the step failed; what was cancelled because another failed is no failure of its own."""
        return self.status.endswith("_FAILED") and "cancelled" not in self.reason.lower()


class ChangeSets:
    """The one stack. `sleep` pauses between looks."""

    def __init__(
        self, client: "CloudFormationClient", *, name: str = STACK_NAME, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._name = name
        self._sleep = sleep

    def stack(self, stack_id: str | None = None) -> Stack | None:
        """Describe the stack, a deleted one too when it is asked for by its id; None when there is none."""
        with aws_errors():
            try:
                (found, *_) = self._client.describe_stacks(StackName=stack_id or self._name)["Stacks"]
            except ClientError as error:
                # CloudFormation has no code of its own for a stack that does not exist.
                if code_of(error) == "ValidationError" and "does not exist" in str(error):
                    return None
                raise
        return Stack(
            stack_id=found.get("StackId", self._name),
            status=found["StackStatus"],
            reason=found.get("StackStatusReason", ""),
            parameters={
                parameter.get("ParameterKey", ""): parameter.get("ParameterValue", "")
                for parameter in found.get("Parameters", [])
            },
            outputs={output.get("OutputKey", ""): output.get("OutputValue", "") for output in found.get("Outputs", [])},
        )

    def prepare(
        self, name: str, template_url: str, parameters: Mapping[str, str], keep: Iterable[str], *, creates: bool
    ) -> ChangeSet | None:
        """Make a change set and wait until it is whole; None, and nothing left behind, when it would change nothing.

        `keep` names parameters that stay as they are. Raises DeploymentFailed in CloudFormation's words.
        """
        given: list[ParameterTypeDef] = [
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ]
        kept: list[ParameterTypeDef] = [{"ParameterKey": key, "UsePreviousValue": True} for key in keep]
        with aws_errors():
            try:
                made = self._client.create_change_set(
                    StackName=self._name,
                    ChangeSetName=name,
                    ChangeSetType="CREATE" if creates else "UPDATE",
                    TemplateURL=template_url,
                    Parameters=[*given, *kept],
                    Capabilities=list(CAPABILITIES),
                )
            except ClientError as error:
                if code_of(error) != "ValidationError":
                    raise
                words = error.response.get("Error", {}).get("Message", "")
                raise DeploymentFailed(f"CloudFormation refused the template: {words}", hint=_REFUSED_HINT) from error
        change_set = ChangeSet(arn=made["Id"], stack_id=made["StackId"], creates=creates)
        failure = self._why_it_failed(change_set)
        if failure is None:
            return change_set.model_copy(update={"changes": tuple(self._changes(change_set))})
        self.discard(change_set)
        if any(words in failure for words in _NO_CHANGES):
            return None
        raise DeploymentFailed(f"CloudFormation cannot make this change: {failure}", hint=_REFUSED_HINT)

    def discard(self, change_set: ChangeSet) -> None:
        """Delete a change set that was not carried out, and the empty stack that was made for it."""
        with aws_errors():
            self._client.delete_change_set(ChangeSetName=change_set.arn)
            if change_set.creates:
                stack = self.stack(change_set.stack_id)
                if stack is not None and stack.was_never_made:
                    self._client.delete_stack(StackName=change_set.stack_id)

    def execute(self, change_set: ChangeSet, on_event: Callable[[StackEvent], None]) -> Stack:
        """Carry it out, tell every event, and answer the stack as it ended, whatever that is.

        A failed operation is rolled back, and the resources that it made go with it, those too which an established
        stack would retain (CloudFormation API Reference, ExecuteChangeSet: `DisableRollback`, whose default it gives as
        true, and `RetainExceptOnCreate`).
        """
        seen = {event.event_id for event in self._events(change_set.stack_id)}
        with aws_errors():
            self._client.execute_change_set(
                ChangeSetName=change_set.arn, DisableRollback=False, RetainExceptOnCreate=True
            )
        return self._settled(change_set.stack_id, seen, on_event)

    def delete(self, stack_id: str, on_event: Callable[[StackEvent], None] = lambda _event: None) -> Stack:
        """Delete the stack, tell every event, and answer it as it ended."""
        seen = {event.event_id for event in self._events(stack_id)}
        with aws_errors():
            self._client.delete_stack(StackName=stack_id)
        return self._settled(stack_id, seen, on_event)

    def protect(self, *, is_protected: bool) -> None:
        """Let CloudFormation refuse to delete the stack, or not refuse any longer."""
        with aws_errors():
            self._client.update_termination_protection(StackName=self._name, EnableTerminationProtection=is_protected)

    def resources(self) -> dict[str, str]:
        """Physical ids by logical id."""
        with aws_errors():
            pages = self._client.get_paginator("list_stack_resources").paginate(StackName=self._name)
            return {
                summary["LogicalResourceId"]: summary.get("PhysicalResourceId", "")
                for page in pages
                for summary in page["StackResourceSummaries"]
            }

    def failures(self, stack_id: str) -> tuple[StackEvent, ...]:
        """What failed in the last operation, first failure first."""
        found: list[StackEvent] = []
        for event in self._events(stack_id):  # newest first
            if event.is_failure:
                found.append(event)
            if event.resource_type == "AWS::CloudFormation::Stack" and event.status in _BEGINNINGS:
                break
        return tuple(reversed(found))

    def _why_it_failed(self, change_set: ChangeSet) -> str | None:
        """Wait until the change set is made; None when it was, else CloudFormation's reason."""
        pause_s = FIRST_LOOKS_S
        while True:
            with aws_errors():
                found = self._client.describe_change_set(ChangeSetName=change_set.arn)
            if found["Status"] == "FAILED":
                return found.get("StatusReason", "no reason was given")
            if found["Status"] == "CREATE_COMPLETE":
                return None
            self._sleep(pause_s)
            pause_s = min(pause_s * 1.5, LOOK_EVERY_S)

    def _changes(self, change_set: ChangeSet) -> Iterator[ResourceChange]:
        token: dict[str, Any] = {}
        while True:
            with aws_errors():
                page = self._client.describe_change_set(ChangeSetName=change_set.arn, **token)
            yield from (_change_of(change) for change in page.get("Changes", []))
            if "NextToken" not in page:
                return
            token = {"NextToken": page["NextToken"]}

    def _settled(self, stack_id: str, seen: set[str], on_event: Callable[[StackEvent], None]) -> Stack:
        """Tell events until CloudFormation is done with the stack."""
        pause_s, failed_looks = FIRST_LOOKS_S, 0
        while True:
            try:
                stack = self.stack(stack_id)
                # Events are read after the status, so that the last ones are among them.
                new_events = self._new_events(stack_id, seen)
            except RunctlError as error:
                failed_looks += 1
                if not error.retryable or failed_looks > PATIENCE:
                    raise
            else:
                failed_looks = 0
                for event in new_events:
                    on_event(event)
                if stack is None:
                    return Stack(stack_id=stack_id, status="DELETE_COMPLETE")
                if not stack.status.endswith("_IN_PROGRESS"):
                    return stack
            self._sleep(pause_s)
            pause_s = min(pause_s * 1.5, LOOK_EVERY_S)

    def _new_events(self, stack_id: str, seen: set[str]) -> list[StackEvent]:
        """Events that were not seen before, oldest first; they are seen then."""
        new: list[StackEvent] = []
        for event in self._events(stack_id):
            if event.event_id in seen:
                break
            new.append(event)
        # Only now, for a page that cannot be read must not lose what was read before it.
        seen.update(event.event_id for event in new)
        return new[::-1]

    def _events(self, stack_id: str) -> Iterator[StackEvent]:
        """All events, newest first, read page by page as far as they are asked for."""
        with aws_errors():
            try:
                for page in self._client.get_paginator("describe_stack_events").paginate(StackName=stack_id):
                    for event in page["StackEvents"]:
                        yield StackEvent(
                            event_id=event["EventId"],
                            logical_id=event.get("LogicalResourceId", ""),
                            resource_type=event.get("ResourceType", ""),
                            status=event.get("ResourceStatus", ""),
                            reason=event.get("ResourceStatusReason", ""),
                        )
            except ClientError as error:
                if code_of(error) != "ValidationError" or "does not exist" not in str(error):
                    raise


_REFUSED_HINT: Final = "See what was given with: runctl deploy --help"

_BEGINNINGS: Final = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"})
"""The stack's own event that opens an operation."""


def _change_of(change: "ChangeTypeDef") -> ResourceChange:
    found = change.get("ResourceChange", {})
    return ResourceChange(
        action=found.get("Action", ""),
        logical_id=found.get("LogicalResourceId", ""),
        resource_type=found.get("ResourceType", ""),
        replacement=found.get("Replacement", ""),
    )
