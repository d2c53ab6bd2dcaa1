"""The chain of states of docs/architecture.md, as the console shows it."""

from collections.abc import Callable
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from runctl import errors
from runctl.model.decision import Action, Conclusion, Decision
from runctl.model.names import Function, State
from runctl.model.status import RunStatus
from stacks.state_machine.retries import EVERY_STEP, LAST_STEP, MACHINE_GOING, SILENT_FUNCTION, RetryPolicy

STEP_TIMEOUT: Final = Duration.seconds(90)
"""Of one invocation of a step that answers at once. More than FUNCTION_TIMEOUT: Lambda's own word comes first."""

_ALREADY_ENDED: Final = (
    "This run has already ended, and an ended run is never started again. To train on, start a new run: "
    "`runctl train` with the same script."
)

_ENDS_MACHINES: Final = frozenset({State.DECIDE_WHAT_NEXT, State.CONCLUDE_RUN})
"""States that wait for EC2's word: that a machine is going, or that it shows one which was launched a moment ago."""

FunctionOf = Callable[[Function], lambda_.IFunction]


def build_chain(scope: Construct, function_of: FunctionOf) -> sfn.IChainable:
    """Build all states and connect them; the answer is the first one."""
    admit = _step(scope, State.ADMIT_RUN, function_of(Function.ADMIT_RUN))
    launch = _step(scope, State.LAUNCH_MACHINE, function_of(Function.LAUNCH_MACHINE))
    wait_for_ssm = _wait_for_ssm(scope, function_of(Function.AWAIT_READY))
    train = _train(scope, function_of(Function.START_TRAINING))
    decide = _step(scope, State.DECIDE_WHAT_NEXT, function_of(Function.DECIDE_NEXT), "$.decision", _selector(Decision))
    conclude = _step(
        scope, State.CONCLUDE_RUN, function_of(Function.CONCLUDE_RUN), "$.conclusion", _selector(Conclusion)
    )
    machine_given = sfn.Choice(scope, State.MACHINE_GIVEN)
    try_again = sfn.Choice(scope, State.TRY_AGAIN)
    wait_for_capacity = sfn.Wait(scope, State.WAIT_FOR_CAPACITY, time=sfn.WaitTime.seconds_path("$.decision.wait_s"))

    admit.next(machine_given)
    machine_given.when(sfn.Condition.is_present("$.instance_id"), wait_for_ssm).otherwise(launch)
    launch.next(wait_for_ssm)
    wait_for_ssm.next(train)
    train.next(conclude)
    decide.next(try_again)
    try_again.when(_decided(Action.LAUNCH), launch).when(_decided(Action.WAIT), wait_for_capacity).otherwise(conclude)
    wait_for_capacity.next(launch)
    conclude.next(_how_did_it_end(scope))

    _catch(admit, _already_ended(scope), errors.RunEnded.__name__)
    # A missed heartbeat is a kind of timeout; the narrower name must stand first to be told apart.
    _catch(train, decide, sfn.Errors.HEARTBEAT_TIMEOUT)
    _catch(train, decide, sfn.Errors.TIMEOUT)
    _catch(wait_for_ssm, decide, sfn.Errors.TIMEOUT)
    for task in (admit, launch, wait_for_ssm, train):
        _catch(task, decide, sfn.Errors.ALL)
    # Nobody is left to decide: the run is concluded with what is known. When that fails too, the execution fails,
    # and `observe_execution` hears of it.
    _catch(decide, conclude, sfn.Errors.ALL)
    return admit


def _step(
    scope: Construct,
    state: State,
    function: lambda_.IFunction,
    result_path: str = sfn.JsonPath.DISCARD,
    selector: dict[str, str] | None = None,
) -> tasks.LambdaInvoke:
    """A task that is over when its function returns."""
    task = tasks.LambdaInvoke(
        scope,
        state,
        lambda_function=function,
        payload=sfn.TaskInput.from_object({"state.$": "$"}),
        result_selector=selector,
        result_path=result_path,
        task_timeout=sfn.Timeout.duration(STEP_TIMEOUT),
        retry_on_service_exceptions=False,
    )
    policies: tuple[RetryPolicy, ...] = (*EVERY_STEP, SILENT_FUNCTION)
    if state in _ENDS_MACHINES:
        policies = (*LAST_STEP, SILENT_FUNCTION, MACHINE_GOING)
    elif state is State.ADMIT_RUN:
        policies = (*LAST_STEP, SILENT_FUNCTION)
    for policy in policies:
        policy.apply_to(task)
    return task


def _wait_for_ssm(scope: Construct, function: lambda_.IFunction) -> tasks.LambdaInvoke:
    """No heartbeat: until SSM answers there is nobody to send one, and the timeout is the bound."""
    return _callback(
        scope, State.WAIT_FOR_SSM, function, sfn.JsonPath.DISCARD, timeout=sfn.Timeout.at("$.ready_timeout_s")
    )


def _train(scope: Construct, function: lambda_.IFunction) -> tasks.LambdaInvoke:
    return _callback(
        scope,
        State.TRAIN,
        function,
        "$.training",
        timeout=sfn.Timeout.at("$.train_timeout_s"),
        heartbeat=sfn.Timeout.at("$.heartbeat_timeout_s"),
    )


def _callback(
    scope: Construct,
    state: State,
    function: lambda_.IFunction,
    result_path: str,
    *,
    timeout: sfn.Timeout,
    heartbeat: sfn.Timeout | None = None,
) -> tasks.LambdaInvoke:
    """A task that is over when somebody answers its token."""
    task = tasks.LambdaInvoke(
        scope,
        state,
        lambda_function=function,
        integration_pattern=sfn.IntegrationPattern.WAIT_FOR_TASK_TOKEN,
        payload=sfn.TaskInput.from_object(
            {
                "state.$": "$",
                "task_token": sfn.JsonPath.task_token,
                # Two invocations may overlap, when one outlives its retry: these tell which is the later.
                "entered_at": sfn.JsonPath.state_entered_time,
                "retry.$": "$$.State.RetryCount",
            }
        ),
        result_path=result_path,
        task_timeout=timeout,
        heartbeat_timeout=heartbeat,
        retry_on_service_exceptions=False,
    )
    for policy in EVERY_STEP:
        policy.apply_to(task)
    return task


def _how_did_it_end(scope: Construct) -> sfn.Choice:
    """A green execution is a run that succeeded, and nothing else is."""
    ends: dict[RunStatus, sfn.IChainable] = {
        RunStatus.SUCCEEDED: sfn.Succeed(scope, State.RUN_SUCCEEDED),
        RunStatus.CANCELLED: _fail(scope, State.RUN_CANCELLED),
        RunStatus.STOPPED: _fail(scope, State.RUN_STOPPED),
    }
    choice = sfn.Choice(scope, State.HOW_DID_IT_END)
    for status, end in ends.items():
        choice.when(sfn.Condition.string_equals("$.conclusion.status", status.value), end)
    return choice.otherwise(_fail(scope, State.RUN_FAILED))


def _fail(scope: Construct, state: State) -> sfn.Fail:
    return sfn.Fail(scope, state, error_path="$.conclusion.reason", cause_path="$.conclusion.cause")


def _already_ended(scope: Construct) -> sfn.Fail:
    """Where a redrive of an ended run, or a second start of it, stops."""
    return sfn.Fail(scope, State.ALREADY_ENDED, error=errors.RunEnded.__name__, cause=_ALREADY_ENDED)


def _catch(task: tasks.LambdaInvoke, handler: sfn.IChainable, error: str) -> None:
    task.add_catch(handler, errors=[error], result_path="$.error")


def _decided(action: Action) -> sfn.Condition:
    return sfn.Condition.string_equals("$.decision.action", action.value)


def _selector(answer: type[Decision] | type[Conclusion]) -> dict[str, str]:
    """Take the answer's fields out of Lambda's envelope. A field that is missing ends the execution at once."""
    return {f"{name}.$": f"$.Payload.{name}" for name in answer.model_fields}
