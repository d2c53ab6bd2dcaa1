"""The state `Wait for SSM`."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.await_ready import await_ready
from runctl.controller.deployment import Deployment
from runctl.errors import ConfigurationError
from runctl.model.decision import StepInput
from runctl.model.names import Function

logger = Logger(service=Function.AWAIT_READY)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Keep the state's token, and answer it when the machine is reachable already."""
    step = StepInput.model_validate(event)
    logger.append_keys(run_id=step.state.run_id, attempt=step.state.current_attempt)
    if step.task_token is None:
        raise ConfigurationError("The state machine sends no task token to this state.")
    deployed = deployment()
    answer = await_ready(
        step.state,
        step.task_token,
        runs=deployed.runs,
        tokens=deployed.tokens,
        machines=deployed.machines,
        commands=deployed.commands,
        now=deployed.now,
        turn=step.turn,
    )
    logger.info("waiting for SSM", extra={"answer": answer})
    return answer
