"""Step Functions' events of executions."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.deployment import Deployment
from runctl.controller.observe_execution import observe_execution
from runctl.model.names import Function
from runctl.model.service_events import ExecutionEvent

logger = Logger(service=Function.OBSERVE_EXECUTION)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Save and conclude a run whose execution was ended from outside."""
    execution_event = ExecutionEvent.model_validate(event)
    logger.append_keys(run_id=execution_event.detail.name, status=execution_event.detail.status)
    deployed = deployment()
    answer = observe_execution(
        execution_event,
        runs=deployed.runs,
        machines=deployed.machines,
        commands=deployed.commands,
        bucket=deployed.bucket,
        schedules=deployed.schedules,
        notifications=deployed.notifications,
        now=deployed.now,
    )
    logger.info("execution event observed", extra={"answer": answer})
    return answer
