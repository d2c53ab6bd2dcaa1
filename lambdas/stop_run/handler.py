"""The stop command of people, limits and schedules."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.deployment import Deployment
from runctl.controller.stop_run import stop_run
from runctl.model.names import Function
from runctl.model.stop import StopCommand

logger = Logger(service=Function.STOP_RUN)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Ask the run to save and end, or end its machine when that time is over."""
    command = StopCommand.model_validate(event)
    logger.append_keys(run_id=command.run_id, action=command.action)
    deployed = deployment()
    answer = stop_run(
        command,
        runs=deployed.runs,
        tokens=deployed.tokens,
        machines=deployed.machines,
        prices=deployed.prices,
        commands=deployed.commands,
        bucket=deployed.bucket,
        schedules=deployed.schedules,
        notifications=deployed.notifications,
        now=deployed.now,
    )
    logger.info("stop handled", extra={"answer": answer})
    return answer
