"""SSM's events of commands."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.deployment import Deployment
from runctl.controller.observe_command import observe_command
from runctl.model.names import Function
from runctl.model.service_events import CommandEvent

logger = Logger(service=Function.OBSERVE_COMMAND)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Turn a start command that failed into a fact; drop strangers."""
    command_event = CommandEvent.model_validate(event)
    logger.append_keys(instance_id=command_event.detail.instance_id, command_id=command_event.detail.command_id)
    deployed = deployment()
    answer = observe_command(command_event, runs=deployed.runs, tokens=deployed.tokens)
    logger.info("command event observed", extra={"answer": answer})
    return answer
