"""What passes between the states of the state machine: ids and small decisions, never blobs."""

from enum import StrEnum
from typing import Any

from runctl.model import timing
from runctl.model.base import Model, WireModel
from runctl.model.ids import AttemptNumber, InstanceId, RunId, TaskToken
from runctl.model.run import Run
from runctl.model.status import Reason, RunStatus


class ExecutionInput(WireModel):
    """The input of an execution, made by `runctl.client`. The two `…_s` feed the states' `…SecondsPath` fields."""

    run_id: RunId
    attempt: AttemptNumber = AttemptNumber(1)
    ready_timeout_s: int
    heartbeat_timeout_s: int
    train_timeout_s: int
    """The outer bound, the same for all runs: `max_runtime` may be extended while the state waits, and a state's limit
    may not. The agent's own deadline ends the training, then the one-time schedule, then the cost watch."""
    instance_id: InstanceId | None = None
    """Left out unless the user gave a machine."""

    @classmethod
    def of(cls, run: Run) -> "ExecutionInput":
        """Make the input of a run's execution."""
        spec = run.spec
        return cls(
            run_id=run.run_id,
            ready_timeout_s=spec.ready_timeout_s,
            heartbeat_timeout_s=spec.heartbeat_timeout_s,
            train_timeout_s=int(timing.TRAIN_LIMIT.total_seconds()),
            instance_id=run.machine,
        )


class Action(StrEnum):
    """What the state machine does next."""

    LAUNCH = "launch"
    WAIT = "wait"
    CONCLUDE = "conclude"


class Decision(Model):
    """The answer of `Decide what next`, put at `$.decision`. `attempt` is the one that later steps work for."""

    action: Action
    attempt: AttemptNumber
    reason: Reason
    wait_s: int = 0
    text: str = ""


class Conclusion(Model):
    """The answer of `Conclude run`, put at `$.conclusion`: how the execution ends and what the console shows."""

    status: RunStatus
    reason: Reason
    cause: str


class StepFailure(WireModel):
    """What a Catch puts at `$.error`."""

    Error: str
    Cause: str = ""


class StepState(WireModel):
    """The state's data as every step sees it: the execution's input and what earlier states added."""

    run_id: RunId
    attempt: AttemptNumber = AttemptNumber(1)
    instance_id: InstanceId | None = None
    error: StepFailure | None = None
    decision: Decision | None = None
    training: dict[str, Any] | None = None
    """What `Train` answered; there only after a success."""

    @property
    def current_attempt(self) -> AttemptNumber:
        """The attempt that this step works for: the last decision's, or the first."""
        return self.attempt if self.decision is None else self.decision.attempt


class StepInput(WireModel):
    """What every step is invoked with: `{"state.$": "$"}`, and the token where the state waits for one."""

    state: StepState
    task_token: TaskToken | None = None
    entered_at: str = ""
    """When the state was entered, as Step Functions writes it: strings that sort as times do."""
    retry: int = 0
    """How often the state was tried again since."""

    @property
    def turn(self) -> str:
        """Which of several invocations of waiting states is the later one: strings that sort in their order."""
        return f"{self.entered_at}#{self.retry:04d}"
