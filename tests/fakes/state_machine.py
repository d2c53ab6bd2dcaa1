"""The state machine of docs/architecture.md in memory: the same states, catches and retries, and virtual time.

It calls the steps as their Lambdas are called, waits where a token or a time is waited for, and counts transitions
as Step Functions charges for them: states entered, and retries.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from runctl.errors import RunctlError, RunEnded
from runctl.model.decision import Action, ExecutionInput, StepState
from runctl.model.ids import RunId, TaskToken
from runctl.model.names import State
from runctl.model.service_events import ExecutionStatus
from tests.fakes.services import TokenAnswer
from tests.fakes.world import World

RETRIES: Final = 8
RETRY_PAUSE_S: Final = 5
RETRIED: Final = frozenset({"StaleWriteError", "MachineStillAlive", "Throttled", "AwsUnavailable"})
FINAL_STATE: Final = {
    "SUCCEEDED": State.RUN_SUCCEEDED,
    "FAILED": State.RUN_FAILED,
    "CANCELLED": State.RUN_CANCELLED,
    "STOPPED": State.RUN_STOPPED,
}


@dataclass
class Execution:
    """One execution: `advance` goes on until it waits or has ended."""

    world: World
    run_id: RunId
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    state: State = State.ADMIT_RUN
    status: ExecutionStatus = ExecutionStatus.RUNNING
    token: TaskToken | None = None
    deadline: datetime | None = None
    """When the state that waits gives up, or goes on after a `Wait`."""
    timeout_error: str = ""
    before: Callable[[State], None] | None = None
    """Called with the state's name before each invocation of a step: what happens in the world just then."""
    entered: list[State] = field(default_factory=list[State])
    retries: int = 0

    def __post_init__(self) -> None:
        given = ExecutionInput.of(self.world.run(self.run_id))
        self.data = given.model_dump(mode="json", exclude_none=True)
        self.world.executions.statuses[self.run_id] = self.status

    @property
    def transitions(self) -> int:
        """What Step Functions charges for."""
        return len(self.entered) + self.retries

    def abort(self) -> None:
        """StopExecution: it ends at once, and its token is worth nothing."""
        if self.token is not None:
            self.world.tokens.expire(self.token)
        self._finish(ExecutionStatus.ABORTED)

    def heartbeat(self) -> None:
        """The agent's sign of life moves the deadline of `Train`."""
        if self.state is State.TRAIN and self.token is not None:
            self.deadline = self.world.clock() + timedelta(seconds=self.data["heartbeat_timeout_s"])

    def advance(self) -> State:
        """Go on until something is waited for; answers the state then."""
        while self.status is ExecutionStatus.RUNNING and self._resume():
            pass
        return self.state

    def _resume(self) -> bool:
        """Do the next thing; False when it has to wait."""
        if self.token is not None:
            return self._take_answer()
        if self.state is State.WAIT_FOR_CAPACITY and self.deadline is not None:
            if self.world.clock() < self.deadline:
                return False
            self.deadline = None
            self.state = State.LAUNCH_MACHINE
            return True
        self._enter()
        return True

    def _take_answer(self) -> bool:
        assert self.token is not None
        answer = self.world.tokens.answers.get(self.token)
        if answer is None:
            if self.deadline is None or self.world.clock() < self.deadline:
                return False
            self.world.tokens.expire(self.token)
            answer = TokenAnswer(self.timeout_error, "", {})
        self.token, self.deadline = None, None
        if answer.error is not None:
            self._catch(answer.error, answer.cause)
        elif self.state is State.WAIT_FOR_SSM:
            self.state = State.TRAIN
        else:
            self.data["training"] = answer.output
            self.state = State.CONCLUDE_RUN
        return True

    def _enter(self) -> None:
        self.entered.append(self.state)
        match self.state:
            case State.ADMIT_RUN:
                self._task(self.world.admit_run, State.MACHINE_GIVEN)
            case State.MACHINE_GIVEN:
                self.state = State.WAIT_FOR_SSM if self.data.get("instance_id") else State.LAUNCH_MACHINE
            case State.LAUNCH_MACHINE:
                self._task(self.world.launch_machine, State.WAIT_FOR_SSM)
            case State.WAIT_FOR_SSM:
                self._wait(self.world.await_ready, self.data["ready_timeout_s"], "States.Timeout")
            case State.TRAIN:
                self._wait(self.world.start_training, self.data["heartbeat_timeout_s"], "States.HeartbeatTimeout")
            case State.DECIDE_WHAT_NEXT:
                self._task(self.world.decide_next, State.TRY_AGAIN, "decision")
            case State.TRY_AGAIN:
                action = Action(self.data["decision"]["action"])
                self.state = {
                    Action.LAUNCH: State.LAUNCH_MACHINE,
                    Action.WAIT: State.WAIT_FOR_CAPACITY,
                    Action.CONCLUDE: State.CONCLUDE_RUN,
                }[action]
            case State.WAIT_FOR_CAPACITY:
                wait_s = self.data["decision"]["wait_s"]
                assert isinstance(wait_s, int) and wait_s >= 1
                self.deadline = self.world.clock() + timedelta(seconds=wait_s)
            case State.CONCLUDE_RUN:
                self._task(self.world.conclude_run, State.HOW_DID_IT_END, "conclusion")
            case State.HOW_DID_IT_END:
                self.state = FINAL_STATE[self.data["conclusion"]["status"]]
            case State.RUN_SUCCEEDED:
                self._finish(ExecutionStatus.SUCCEEDED)
            case State.RUN_FAILED | State.RUN_CANCELLED | State.RUN_STOPPED | State.ALREADY_ENDED:
                self._finish(ExecutionStatus.FAILED)

    def _task(self, step: Callable[[StepState], dict[str, Any]], following: State, result: str = "") -> None:
        answer = self._invoke(step)
        if answer is None:
            return
        if result:
            self.data[result] = json.loads(json.dumps(answer))
        self.state = following

    def _wait(
        self, step: Callable[[StepState, TaskToken, str], dict[str, Any]], timeout_s: int, timeout_error: str
    ) -> None:
        """A callback task that is tried again gets a new token."""
        self.timeout_error = timeout_error
        self.deadline = self.world.clock() + timedelta(seconds=timeout_s)

        def invoke(state: StepState) -> dict[str, Any]:
            if self.token is not None:
                self.world.tokens.expire(self.token)
            number = len(self.entered) + self.retries
            self.token = self.world.tokens.hand_out(TaskToken(f"token-{self.run_id}-{number}"))
            return step(state, self.token, f"{len(self.entered):06d}#{self.retries:04d}")

        self._invoke(invoke)

    def _invoke(self, step: Callable[[StepState], dict[str, Any]]) -> dict[str, Any] | None:
        tries = 0
        while True:
            if self.before is not None:
                self.before(self.state)
            state = StepState.model_validate(json.loads(json.dumps(self.data)))
            try:
                return step(state)
            except RunctlError as error:
                tries += 1
                if type(error).__name__ not in RETRIED or tries > RETRIES:
                    return self._catch_raised(error)
                self.retries += 1
                self.world.clock.move(RETRY_PAUSE_S)

    def _catch_raised(self, error: RunctlError) -> None:
        """A Lambda that raised: the class's name, and a JSON document as the Cause."""
        cause: dict[str, Any] = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": []}
        if self.token is not None:
            self.world.tokens.expire(self.token)
        self.token, self.deadline = None, None
        self._catch(type(error).__name__, json.dumps(cause))

    def _catch(self, error: str, cause: str) -> None:
        self.data["error"] = {"Error": error, "Cause": cause}
        if self.state is State.ADMIT_RUN and error == RunEnded.__name__:
            self.state = State.ALREADY_ENDED
        elif self.state is State.DECIDE_WHAT_NEXT:
            self.state = State.CONCLUDE_RUN
        elif self.state is State.CONCLUDE_RUN:
            self._finish(ExecutionStatus.FAILED)
        else:
            self.state = State.DECIDE_WHAT_NEXT

    def _finish(self, status: ExecutionStatus) -> None:
        self.status, self.token, self.deadline = status, None, None
        self.world.executions.statuses[self.run_id] = status
