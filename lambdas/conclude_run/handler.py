"""The state `Conclude run`."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.conclude_run import conclude_run
from runctl.controller.deployment import Deployment
from runctl.model.decision import StepInput
from runctl.model.names import Function

logger = Logger(service=Function.CONCLUDE_RUN)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """End the run once: its machines, its status, the people who wait for it."""
    state = StepInput.model_validate(event).state
    logger.append_keys(run_id=state.run_id, attempt=state.current_attempt)
    deployed = deployment()
    answer = conclude_run(
        state,
        runs=deployed.runs,
        machines=deployed.machines,
        bucket=deployed.bucket,
        schedules=deployed.schedules,
        notifications=deployed.notifications,
        now=deployed.now,
    )
    logger.info("run concluded", extra={"answer": answer})
    return answer
