"""The state `Decide what next`."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.decide_next import decide_next
from runctl.controller.deployment import Deployment
from runctl.model.decision import StepInput
from runctl.model.names import Function

logger = Logger(service=Function.DECIDE_NEXT)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """End the attempt with one reason, and decide whether another follows."""
    state = StepInput.model_validate(event).state
    logger.append_keys(run_id=state.run_id, attempt=state.current_attempt)
    deployed = deployment()
    answer = decide_next(
        state,
        runs=deployed.runs,
        machines=deployed.machines,
        commands=deployed.commands,
        bucket=deployed.bucket,
        notifications=deployed.notifications,
        now=deployed.now,
    )
    logger.info("next step decided", extra={"answer": answer})
    return answer
