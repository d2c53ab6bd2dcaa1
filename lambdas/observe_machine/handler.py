"""EC2's events of machines."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.deployment import Deployment
from runctl.controller.observe_machine import observe_machine
from runctl.model.names import Function
from runctl.model.service_events import MachineEvent

logger = Logger(service=Function.OBSERVE_MACHINE)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Turn a warning, a recommendation or a state change into a fact; drop strangers."""
    machine_event = MachineEvent.model_validate(event)
    logger.append_keys(instance_id=machine_event.detail.instance_id, kind=machine_event.kind)
    deployed = deployment()
    answer = observe_machine(
        machine_event,
        runs=deployed.runs,
        tokens=deployed.tokens,
        machines=deployed.machines,
        commands=deployed.commands,
        bucket=deployed.bucket,
        schedules=deployed.schedules,
        notifications=deployed.notifications,
        now=deployed.now,
    )
    logger.info("machine event observed", extra={"answer": answer})
    return answer
