"""Events of AWS services as EventBridge delivers them; only the fields that we read.

Shapes: EC2 User Guide ("Spot Instance interruption notices", "EC2 instance rebalance recommendations", "State change
events"), Systems Manager User Guide ("Reference: Amazon EventBridge event patterns and types"), Step Functions
Developer Guide ("Automating Step Functions event delivery with EventBridge"). Delivery is at least once and unordered.
"""

from enum import StrEnum
from typing import Any

from pydantic import Field

from runctl.model.base import UtcDatetime, WireModel
from runctl.model.ids import InstanceId, RunId
from runctl.model.machine import MachineState


class MachineEventKind(StrEnum):
    """Detail types of source `aws.ec2` that we listen to."""

    WARNING = "EC2 Spot Instance Interruption Warning"
    REBALANCE = "EC2 Instance Rebalance Recommendation"
    STATE_CHANGE = "EC2 Instance State-change Notification"


class MachineEventDetail(WireModel):
    """`instance-action` comes with a warning, `state` with a state change. The resource's ARN carries no account."""

    instance_id: InstanceId = Field(alias="instance-id")
    instance_action: str = Field(default="", alias="instance-action")
    state: MachineState | None = None


class MachineEvent(WireModel):
    """An event of source `aws.ec2`."""

    kind: MachineEventKind = Field(alias="detail-type")
    time: UtcDatetime
    detail: MachineEventDetail


COMMAND_EVENT = "EC2 Command Invocation Status-change Notification"


class CommandStatus(StrEnum):
    """Statuses of a command's invocation that mean it will not run, or did not run well."""

    FAILED = "Failed"
    TIMED_OUT = "TimedOut"
    CANCELLED = "Cancelled"
    DELIVERY_TIMED_OUT = "DeliveryTimedOut"
    EXECUTION_TIMED_OUT = "ExecutionTimedOut"
    UNDELIVERABLE = "Undeliverable"
    TERMINATED = "Terminated"


class CommandEventDetail(WireModel):
    """Of one invocation: one command on one machine."""

    command_id: str = Field(alias="command-id")
    instance_id: InstanceId = Field(alias="instance-id")
    status: str


class CommandEvent(WireModel):
    """An event of source `aws.ssm`."""

    time: UtcDatetime
    detail: CommandEventDetail


EXECUTION_EVENT = "Step Functions Execution Status Change"


class ExecutionStatus(StrEnum):
    """Statuses of an execution."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"
    PENDING_REDRIVE = "PENDING_REDRIVE"


class ExecutionEventDetail(WireModel):
    """`name` is the run id. Input and output are left alone: they may be missing when they are large."""

    name: RunId
    status: ExecutionStatus
    error: str | None = None
    cause: str | None = None


class ExecutionEvent(WireModel):
    """An event of source `aws.states`."""

    time: UtcDatetime
    detail: ExecutionEventDetail


class BusEvent(WireModel):
    """An event of our own bus. The detail stays as it came, for the signature covers it."""

    time: UtcDatetime
    detail: dict[str, Any]
