"""The state `Train`."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.deployment import Deployment
from runctl.controller.start_training import start_training
from runctl.errors import ConfigurationError
from runctl.model.decision import StepInput
from runctl.model.names import Function

logger = Logger(service=Function.START_TRAINING)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Hand the run to its machine; its end answers the state's token."""
    step = StepInput.model_validate(event)
    logger.append_keys(run_id=step.state.run_id, attempt=step.state.current_attempt)
    if step.task_token is None:
        raise ConfigurationError("The state machine sends no task token to this state.")
    deployed = deployment()
    answer = start_training(
        step.state,
        step.task_token,
        runs=deployed.runs,
        tokens=deployed.tokens,
        machines=deployed.machines,
        commands=deployed.commands,
        bucket=deployed.bucket,
        packages=deployed.packages,
        settings=deployed.settings,
        now=deployed.now,
        turn=step.turn,
    )
    logger.info("training handed over", extra={"answer": answer})
    return answer
