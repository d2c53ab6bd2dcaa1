"""The state `Launch machine`."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.deployment import Deployment
from runctl.controller.launch_machine import launch_machine
from runctl.model.decision import StepInput
from runctl.model.names import Function

logger = Logger(service=Function.LAUNCH_MACHINE)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Launch the attempt's machine, or raise what AWS refused it with."""
    state = StepInput.model_validate(event).state
    logger.append_keys(run_id=state.run_id, attempt=state.current_attempt)
    deployed = deployment()
    answer = launch_machine(
        state,
        runs=deployed.runs,
        machines=deployed.machines,
        prices=deployed.prices,
        schedules=deployed.schedules,
        settings=deployed.settings,
        now=deployed.now,
    )
    logger.info("machine launched", extra={"answer": answer})
    return answer
